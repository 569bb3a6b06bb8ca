/**
 * The fake as a process of its own, for the demo: serves until it is told to stop, and tells its parent of each request. Its nodes appear in the cluster
 * that the environment names. Slow enough to be watched.
 */
import type { FromFakeAzure } from '../../../local/demo/azure-messages';
import { connect } from '../../../kubernetes/client';
import { startFakeArm } from './fake-arm';
import * as failures from './failures';
import { kwokNodes } from './kwok-nodes';
import type { FakeArm } from './types';

/** Of a real pool, these are minutes. */
const TIMINGS = { createMs: 6_000, nodesMs: 2_000, gpusMs: 2_000, deleteMs: 3_000 };
const PRICES = {
  Standard_NC24ads_A100_v4: { regular: 3.673, spot: 1.469 },
  Standard_NC40ads_H100_v5: { regular: 6.98 },
};

async function main(): Promise<void> {
  const client = connect();
  const arm = await startFakeArm({ nodes: kwokNodes(client), timings: TIMINGS });
  for (const [size, price] of Object.entries(PRICES)) arm.prices.set(size, price);
  // The first creation of the preferred size fails, as it does on a busy day.
  arm.operations
    .on('create', ({ properties }) => properties.vmSize === 'Standard_NC24ads_A100_v4', 1)
    .fails(failures.allocationFailed());

  const stopWatching = tellRequests(arm);
  process.once('SIGTERM', () => {
    void stop(arm)
      .finally(() => client.close())
      .finally(stopWatching);
  });
  const { url, caFile, subscriptionId, cluster } = arm;
  tell({ kind: 'started', url, caFile, subscriptionId, cluster });
  console.log(JSON.stringify({ msg: 'started', url }));
}

/** Tells each request once it is answered. */
function tellRequests(arm: FakeArm): () => void {
  let told = 0;
  const timer = setInterval(() => {
    for (let next = arm.requests[told]; next !== undefined && next.status !== 0; next = arm.requests[told]) {
      told += 1;
      const { method, path, status } = next;
      tell({ kind: 'request', method, path, status });
    }
  }, 100);
  return () => clearInterval(timer);
}

async function stop(arm: FakeArm): Promise<void> {
  try {
    arm.assertInvariants({ nothingLeft: true });
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  }
  await arm.stop();
}

function tell(message: FromFakeAzure): void {
  process.send?.(message);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
