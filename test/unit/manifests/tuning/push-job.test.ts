import { pushJob, pushJobName } from '../../../../manifests/tuning/push-job';
import { trainingJob } from '../../../../manifests/tuning/training-job';
import { asYaml, CONFIGURATION, workspace } from '../fixtures';
import { trainingInput, TUNING, TUNING_PLAN, tuningWorkspace } from './fixtures';

type PushInput = Parameters<typeof pushJob>[0];

function pushInput(over: Partial<PushInput> = {}): PushInput {
  return { workspace: tuningWorkspace(), tuning: TUNING_PLAN, configuration: CONFIGURATION, ...over };
}

const podOf = (over: Partial<PushInput> = {}) => pushJob(pushInput(over)).spec.template.spec!;

describe('the Job that pushes', () => {
  it('pushes from the claim of ours, near the machines of the training', () => {
    const configuration = {
      ...CONFIGURATION,
      pusherImage: 'registry.example/pusher:1',
      imagePullSecrets: ['runtime'],
      insecureRegistries: ['localhost:5001'],
    };
    expect(asYaml(pushJob(pushInput({ configuration })))).toMatchSnapshot();
  });

  it('pushes from the user’s volume, where the training left the adapter', () => {
    const volumeSource = { persistentVolumeClaim: { claimName: 'adapters' } };
    const tuned = tuningWorkspace({ output: { ...TUNING.tuning.output, volumeSource } });
    const { claim: _claim, ...rest } = TUNING_PLAN;
    const tuning = { ...rest, outputDirectory: '/mnt/adapter' };
    const pod = podOf({ workspace: tuned, tuning });
    const training = trainingJob(trainingInput({ workspace: tuned, plan: { diskGiB: 87, tuning } })).spec.template
      .spec!;
    const volume = { name: 'results-volume', ...volumeSource };
    expect(pod.volumes).toContainEqual(volume);
    expect(training.volumes).toContainEqual(volume);
    expect(pod.containers[0]?.args).toContain('--from=/mnt/adapter');
    expect(pod.containers[0]?.volumeMounts).toContainEqual({
      name: 'results-volume',
      mountPath: '/mnt/adapter',
      readOnly: true,
    });
    // Else the one could not read what the other wrote.
    expect(pod.securityContext).toEqual(training.securityContext);
  });

  it('runs in the runtime image unless told otherwise, and asks for no GPU and no certain node', () => {
    const { containers, affinity } = podOf();
    expect(containers[0]?.image).toBe(CONFIGURATION.runtimeImage);
    expect(containers[0]?.resources).toEqual({ requests: { cpu: '100m', memory: '256Mi' } });
    expect(affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution).toBeUndefined();
  });

  it('wishes for nothing but the bought machines when the user selects no nodes', () => {
    const unselected = workspace({ ...TUNING, resource: { ...TUNING.resource, labelSelector: {} } });
    expect(
      podOf({ workspace: unselected }).affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution,
    ).toEqual([
      {
        weight: 100,
        preference: {
          matchExpressions: [
            { key: 'kaito.sh/workspace', operator: 'In', values: ['workspace-phi-3-mini'] },
            { key: 'kaito.sh/workspacenamespace', operator: 'In', values: ['default'] },
          ],
        },
      },
    ]);
  });

  it('leaves another try to the step, but replaces a pod that was driven away', () => {
    const { backoffLimit, podFailurePolicy } = pushJob(pushInput()).spec;
    expect(backoffLimit).toBe(0);
    expect(podFailurePolicy?.rules.map(({ action }) => action)).toEqual(['FailJob', 'Ignore']);
  });

  it('is another Job for another adapter, Secret or image', () => {
    const hash = (over: Partial<PushInput>) => pushJob(pushInput(over)).metadata.annotations['kaito.sh/rendered-hash'];
    const { push } = TUNING_PLAN;
    const before = hash({});
    expect(hash({ tuning: { ...TUNING_PLAN, isTrained: true } })).toBe(before);
    const changed = [
      hash({ tuning: { ...TUNING_PLAN, hash: 'b2'.repeat(32) } }),
      hash({ tuning: { ...TUNING_PLAN, push: { ...push!, secretName: 'other' } } }),
      hash({ tuning: { ...TUNING_PLAN, push: { ...push!, image: 'registry.example/adapters/phi-3:2' } } }),
    ];
    expect(new Set([before, ...changed]).size).toBe(4);
  });

  it('has a valid name, whatever the length of the Workspace’s', () => {
    expect(pushJobName('tune-phi-3')).toBe('tune-phi-3-push');
    expect(pushJobName('x'.repeat(63))).toMatch(/^[a-z0-9][a-z0-9-]{0,62}$/);
  });

  it('refuses a plan that has nothing to push', () => {
    const { push: _push, ...tuning } = TUNING_PLAN;
    expect(() => podOf({ tuning })).toThrow("the plan of Workspace 'default/tune-phi-3' has nothing to push");
  });
});
