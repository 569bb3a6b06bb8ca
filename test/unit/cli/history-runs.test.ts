import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { readHistory } from '../../../cli/history/runs';

const REF = { namespace: 'team', name: 'phi' };

interface Known {
  readonly runId: string;
  readonly startTime: Date;
  readonly status: { readonly name: 'RUNNING' | 'COMPLETED' };
}

/** A Temporal whose list lags behind what it says of the latest run; notes whose history is read, and who is asked for what is pending. */
function temporalWith(listed: readonly Known[], latest: Known | undefined) {
  const read: string[] = [];
  const getHandle = (_: string, runId?: string) => ({
    fetchHistory: () => {
      read.push(`history of ${runId}`);
      return Promise.resolve({ events: [] });
    },
    describe: () => {
      if (runId !== undefined) read.push(`pending of ${runId}`);
      if (latest !== undefined) return Promise.resolve({ ...latest, raw: { pendingActivities: [] } });
      return Promise.reject(new WorkflowNotFoundError('workflow not found', 'workspace/team/phi', undefined));
    },
  });
  async function* list() {
    yield* listed;
  }
  const options = { loadedDataConverter: {} };
  return { read, client: { workflow: { getHandle, list }, options } as unknown as Client };
}

const first: Known = { runId: 'first', startTime: new Date(1), status: { name: 'COMPLETED' } };
const second: Known = { runId: 'second', startTime: new Date(2), status: { name: 'RUNNING' } };

it('tells of a run that Temporal’s list does not know yet', async () => {
  const { client, read } = temporalWith([first], second);
  await readHistory(client, REF);
  expect(read).toEqual(['history of first', 'history of second', 'pending of second']);
});

it('does not take the latest run for one that still runs because the list says so', async () => {
  const { client, read } = temporalWith([second, first], { ...second, status: { name: 'COMPLETED' } });
  await readHistory(client, REF);
  expect(read).toEqual(['history of first', 'history of second']);
});

it('tells nothing of a Workspace that Temporal does not know', async () => {
  const { client } = temporalWith([], undefined);
  expect(await readHistory(client, REF)).toEqual([]);
});
