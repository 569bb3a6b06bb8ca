import { Duplex, PassThrough, Writable } from 'node:stream';
import { PortForward, type KubeConfig } from '@kubernetes/client-node';
import { toError } from '../../api/to-error';
import { CliError } from '../failure';

export interface Target {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

interface Socket {
  addEventListener(type: 'close', listener: () => void): void;
  close(): void;
}

/** A connection to a port of a pod, through the API server. Destroy it to close. */
export async function forward(config: KubeConfig, { namespace, pod, port }: Target): Promise<Duplex> {
  const fromPod = new PassThrough();
  const toPod = new PassThrough();
  const connection = Duplex.from({ readable: fromPod, writable: toPod });
  // What the kubelet can't do arrives on a stream of its own: nobody listens on the port, for one.
  const trouble = new Writable({
    write(chunk: Buffer, _encoding, next) {
      const said = chunk.toString('utf8').trim();
      if (said !== '')
        connection.destroy(new CliError({ exit: 'unreachable', message: `port ${port} of pod '${pod}': ${said}` }));
      next();
    },
  });
  try {
    const forwarding = new PortForward(config).portForward(namespace, pod, [port], fromPod, trouble, toPod);
    // Without a number of retries it is a WebSocket, of whose package there are no types here.
    const socket = await (forwarding as Promise<unknown> as Promise<Socket>);
    socket.addEventListener('close', () => fromPod.end());
    connection.once('close', () => socket.close());
    return connection;
  } catch (error) {
    connection.destroy();
    throw refused(error, { namespace, pod, port });
  }
}

/** The WebSocket's own error names only the status of the answer. */
function refused(error: unknown, { namespace, pod }: Target): CliError {
  const said = (error as { readonly message?: unknown }).message;
  const message = typeof said === 'string' ? said : toError(error).message;
  if (/\b40[13]\b/.test(message)) {
    return new CliError(
      {
        exit: 'denied',
        message: `port-forward to pod '${pod}' in namespace '${namespace}': ${message}`,
        remedy:
          "Ask the cluster's administrator for create on pods/portforward (some versions: get) in this namespace.",
      },
      { cause: error },
    );
  }
  return new CliError(
    {
      exit: 'unreachable',
      message: `port-forward to pod '${pod}' in namespace '${namespace}': ${message}`,
      remedy: `See whether kubectl port-forward -n ${namespace} pod/${pod} works.`,
    },
    { cause: error },
  );
}
