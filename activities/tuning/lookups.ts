/**
 * Looks names of datasets up without holding up the worker. It asks as the pods will, with the hosts file and the search domains, which only the
 * system's resolver (`getaddrinfo`) knows: it occupies a thread for as long as it waits, and can't be stopped.
 */
import type { LookupAddress, LookupAllOptions } from 'node:dns';
import { toError } from '../../api/to-error';
import { Slots, takeBoth } from '../../kubernetes/slots';

/** Calls back with every address of a name. */
export type Resolve = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** Looks up when it is its turn; who has waited long enough aborts. */
export type ResolveInTurn = (signal: AbortSignal, ...asked: Parameters<Resolve>) => void;

/**
 * One name at a time in the whole process. Node has four threads for files and names, and lets names have two of them (libuv's share for what is
 * slow): two names that hang would keep every other name of the worker waiting, one leaves the other thread to these.
 */
const ONE_AT_A_TIME = new Slots(1);

/**
 * A dataset's names, looked up one after the other, in turn with those of other datasets: one with many names that hang delays each of the
 * others by one of its names only.
 */
export function inTurn(resolve: Resolve): ResolveInTurn {
  const own = new Slots(1);
  return (signal, hostname, options, callback) => {
    void takeBoth(own, ONE_AT_A_TIME, signal).then(
      (release) => {
        // The thread is busy until the resolver answers, whoever still waits for that.
        const done: typeof callback = (error, addresses) => {
          release();
          callback(error, addresses);
        };
        try {
          resolve(hostname, options, done);
        } catch (error) {
          done(toError(error), []);
        }
      },
      (error: unknown) => callback(toError(error), []),
    );
  };
}
