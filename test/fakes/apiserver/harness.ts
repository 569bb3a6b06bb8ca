import { connect, type ClientOptions, type KubernetesClient } from '../../../kubernetes/client';
import type { LogFields, Logger } from '../../../kubernetes/logger';
import { FakeApiServer } from './fake-apiserver';

export interface FakeCluster {
  readonly server: FakeApiServer;
  readonly client: KubernetesClient;
  stop(): Promise<void>;
}

/** A fake API server and a client for it, by way of a real kubeconfig. */
export async function startFakeCluster(options: ClientOptions = {}): Promise<FakeCluster> {
  const server = await new FakeApiServer().start();
  const client = connect({ kubeconfig: server.kubeconfig(), ...options });
  return {
    server,
    client,
    async stop() {
      await client.close();
      await server.stop();
    },
  };
}

/** Remembers what was logged. */
export class RecordingLogger implements Logger {
  readonly lines: { readonly level: string; readonly message: string; readonly fields: LogFields }[] = [];

  debug(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: 'debug', message, fields });
  }

  info(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: 'info', message, fields });
  }

  warn(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: 'warn', message, fields });
  }

  error(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: 'error', message, fields });
  }

  messages(level: string): string[] {
    return this.lines.filter((line) => line.level === level).map(({ message }) => message);
  }
}

/** Until the condition holds; fails with its description, and with what was seen last, after ten seconds. */
export async function eventually(what: string, holds: () => boolean, seen: () => unknown = () => ''): Promise<void> {
  const end = Date.now() + 10_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`never: ${what} ${JSON.stringify(seen())}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
