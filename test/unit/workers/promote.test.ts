import { temporal } from '@temporalio/proto';
import { promote, type Temporal } from '../../../workers/versioning';

const { RoutingConfigUpdateState, WorkerVersioningMode } = temporal.api.enums.v1;
const VERSION = { deploymentName: 'kaito', taskQueue: 'kaito', buildId: 'next' };

/** A server with a worker of the version, whose task queues know of a new current version when it was asked so many times. */
function serverThatTakes(questions: number): { readonly server: Temporal; readonly asked: string[] } {
  const asked: string[] = [];
  const workflowService = {
    describeTaskQueue: () => {
      const deploymentOptions = {
        workerVersioningMode: WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED,
        ...VERSION,
      };
      return Promise.resolve({ pollers: [{ deploymentOptions, lastAccessTime: { seconds: Date.now() / 1_000 } }] });
    },
    setWorkerDeploymentCurrentVersion: ({ buildId }: { readonly buildId: string }) => {
      asked.push(`set ${buildId}`);
      return Promise.resolve({});
    },
    describeWorkerDeployment: () => {
      asked.push('describe');
      const isDone = asked.length > questions;
      return Promise.resolve({
        workerDeploymentInfo: {
          routingConfig: { currentDeploymentVersion: VERSION },
          routingConfigUpdateState: isDone
            ? RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_COMPLETED
            : RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_IN_PROGRESS,
        },
      });
    },
  };
  return { server: { connection: { workflowService }, namespace: 'default' } as unknown as Temporal, asked };
}

it('a version is promoted once all task queues know of it: until then they may give work to the former one', async () => {
  const { server, asked } = serverThatTakes(3);

  expect(await promote(server, VERSION, 10_000)).toHaveLength(1);
  expect(asked).toEqual(['set next', 'describe', 'describe', 'describe']);
});

it('says so when they do not learn of it in time', async () => {
  const { server } = serverThatTakes(Infinity);

  await expect(promote(server, VERSION, 50)).rejects.toThrow(
    "deployment 'kaito': the worker of version 'next' is current, but not all task queues know it yet: promote it again to wait for longer",
  );
});
