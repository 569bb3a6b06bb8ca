import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { RuntimeOptions } from '@temporalio/worker';

/** The SDK's own metrics: its native part serves them on a port of its own, here on the loopback address only, and ours hands them on. */
export interface TemporalMetrics {
  /** For `Runtime.install`. */
  readonly options: Required<Pick<NonNullable<RuntimeOptions['telemetryOptions']>, 'metrics'>>;
  /** As text for Prometheus. */
  read(): Promise<string>;
}

/** What a scrape waits for at most; the answer comes from the same process. */
const PATIENCE_MS = 2_000;

export async function reserveTemporalMetrics(): Promise<TemporalMetrics> {
  const port = await freePort();
  const bindAddress = `127.0.0.1:${port}`;
  return {
    options: {
      metrics: {
        prometheus: { bindAddress, countersTotalSuffix: true, unitSuffix: true, useSecondsForDurations: true },
      },
    },
    async read() {
      const response = await fetch(`http://${bindAddress}/metrics`, { signal: AbortSignal.timeout(PATIENCE_MS) });
      if (!response.ok) throw new Error(`the metrics of Temporal's SDK: HTTP status ${response.status}`);
      return response.text();
    },
  };
}

/** The SDK can be told a port only, not asked for one. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
