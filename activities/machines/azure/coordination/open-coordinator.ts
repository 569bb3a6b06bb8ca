import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { CoordinatorSettings, LeaseState } from '../../../../api/coordination';
import { toError } from '../../../../api/to-error';
import type { Logger } from '../../../../kubernetes/logger';
import type { Admitted, Avoided, Coordinator, Interruptible } from './coordinator';
import { throttle, type Outbox } from './outbox';
import { openSession, overtake, type Held } from './session';
import type { Transport } from './transport';

/** The cloud's published limits; four pools at once is cautious, and enough as each takes minutes. */
export const COORDINATOR_DEFAULTS: CoordinatorSettings = {
  burst: 20,
  perMinute: 1,
  creatingAtOnce: 4,
  leaseMs: 2 * 60_000,
  askAgainMs: 5_000,
};

/** How long anybody waits to be heard: a worker that stops may be the one that would have listened. It is said meanwhile, and after. */
const PATIENCE_MS = 2_000;

export interface CoordinatorOptions {
  readonly transport: Transport;
  /** Of this process, as Temporal shows it. */
  readonly identity: string;
  readonly settings: CoordinatorSettings;
  readonly logger: Logger;
}

/** Opens this process's session; nothing is said before somebody needs it. */
export function openCoordinator({ transport, identity, settings, logger }: CoordinatorOptions): Coordinator {
  const name = `${identity}/${randomUUID().slice(0, 8)}`;
  const session = openSession({ name, transport, settings, logger });
  let leases = 0;
  let reporting: ReturnType<Transport['report']> | undefined;

  /** Says it, and waits a while until it was heard. A refusal is thrown; that nobody listens now is not one. */
  async function tell(change: (outbox: Outbox) => void): Promise<void> {
    const heard = new AbortController();
    const patience = delay(PATIENCE_MS, undefined, { signal: heard.signal }).catch(() => undefined);
    await Promise.race([session.say(change).finally(() => heard.abort()), patience]);
  }

  async function release(lease: string): Promise<void> {
    if (!session.held.delete(lease)) return;
    await tell((outbox) => {
      // What was not said yet need not be said at all.
      outbox.asks = outbox.asks.filter((ask) => ask.lease !== lease);
      outbox.wants = outbox.wants.filter((want) => want !== lease);
      outbox.released.push(lease);
    });
  }

  /** Says what a lease waits for, and waits. */
  async function askFor(one: Held, { signal }: Interruptible, change: (outbox: Outbox) => void): Promise<LeaseState> {
    signal.throwIfAborted();
    const waiting = waitFor(one, signal);
    // That it was heard shows in the answer; that it was refused, too.
    session.say(change).catch((error: unknown) => one.waiter?.reject(error));
    return waiting;
  }

  function admitted(lease: string): Admitted {
    return {
      kind: 'admitted',
      async allowPut(options) {
        const one = session.held.get(lease);
        if (one === undefined) throw new Error('the place among the pools under creation was given back');
        try {
          one.phase = 'wanting';
          const state = await askFor(one, options, (outbox) => outbox.wants.push(lease));
          return state.kind === 'avoid' ? avoided(state) : { kind: 'allowed' };
        } finally {
          one.phase = 'admitted';
        }
      },
      release: () => release(lease),
    };
  }

  return {
    async admit({ workspaceUid, workspace, candidate, adopts }, options) {
      options.signal.throwIfAborted();
      for (const [former, { ask }] of session.held) {
        if (ask.workspaceUid === workspaceUid) overtake(session.held, former);
      }
      leases += 1;
      const lease = `${name}/${leases}`;
      const request = { lease, workspaceUid, workspace, candidate, ...(adopts === true && { holds: true as const }) };
      const one: Held = { ask: request, phase: 'asking' };
      session.held.set(lease, one);
      try {
        const state = await askFor(one, options, (outbox) => outbox.asks.push(request));
        return state.kind === 'avoid' ? avoided(state) : admitted(lease);
      } catch (error) {
        await release(lease);
        throw error;
      }
    },
    report: (outcome) => tell((outbox) => outbox.outcomes.push(outcome)),
    throttled: (retryAfterMs) => tell((outbox) => throttle(outbox, retryAfterMs)),
    async inFlight() {
      // Whoever asks at the same time gets the same answer.
      reporting ??= transport.report().finally(() => {
        reporting = undefined;
      });
      return (await reporting)?.creating ?? [];
    },
    close: () => session.close(PATIENCE_MS),
  };
}

function waitFor(one: Held, signal: AbortSignal): Promise<LeaseState> {
  return new Promise<LeaseState>((resolve, reject) => {
    const stop = (): void => reject(toError(signal.reason));
    signal.addEventListener('abort', stop, { once: true });
    one.waiter = {
      resolve(state) {
        signal.removeEventListener('abort', stop);
        resolve(state);
      },
      reject(error) {
        signal.removeEventListener('abort', stop);
        reject(toError(error));
      },
    };
  });
}

function avoided({ failure, until }: Extract<LeaseState, { kind: 'avoid' }>): Avoided {
  const message = `${failure.message} (an earlier attempt found this; it is not tried again before ${until})`;
  return { kind: 'avoid', failure: { ...failure, message }, until };
}
