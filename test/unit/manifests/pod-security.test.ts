import type { V1Container, V1PodSpec } from '@kubernetes/client-node';
import { inferenceStatefulSet } from '../../../manifests/stateful-set';
import { inferenceInput, QUICK_START, workspace } from './fixtures';
import { ourPods } from './pods';

/** What the "restricted" Pod Security Standard lets volumes be; `image` came with image volumes. */
const VOLUMES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
];

function containersOf({ initContainers = [], containers }: V1PodSpec): readonly V1Container[] {
  return [...initContainers, ...containers];
}

/** Where the pod breaks that standard, or what we ask of our own pods besides. */
function violations(pod: V1PodSpec): readonly string[] {
  const { securityContext = {}, volumes = [] } = pod;
  const ofPod = [
    (pod.hostNetwork ?? pod.hostPID ?? pod.hostIPC) && 'shares a namespace with its node',
    pod.automountServiceAccountToken !== false && 'mounts a service account token',
    securityContext.runAsNonRoot !== true && 'may run as root',
    (securityContext.runAsUser === 0 || securityContext.sysctls !== undefined) && 'runs as root, or sets sysctls',
    securityContext.seccompProfile?.type !== 'RuntimeDefault' && 'has no seccomp profile',
    ...volumes.map((volume) => {
      const kinds = Object.keys(volume).filter((key) => key !== 'name');
      return kinds.length === 1 && VOLUMES.includes(kinds[0]!) ? false : `volume ${volume.name} is ${kinds.join()}`;
    }),
  ];
  const ofContainers = containersOf(pod).flatMap(
    ({ name, securityContext: own = {}, ports = [], volumeMounts = [] }) => [
      own.privileged === true && `${name} is privileged`,
      own.allowPrivilegeEscalation !== false && `${name} may gain privileges`,
      own.readOnlyRootFilesystem !== true && `${name} may write to its root`,
      (own.runAsNonRoot === false || own.runAsUser !== undefined || own.seccompProfile !== undefined) &&
        `${name} overrides its pod`,
      (own.capabilities?.drop?.join() !== 'ALL' || own.capabilities.add !== undefined) && `${name} keeps capabilities`,
      ports.some(({ hostPort }) => hostPort !== undefined) && `${name} takes a port of its node`,
      !volumeMounts.some(({ mountPath }) => mountPath === '/tmp') && `${name} has no /tmp to write to`,
      ...volumeMounts.map(
        (mount) =>
          !volumes.some((volume) => volume.name === mount.name) && `${name} mounts ${mount.name}, which is no volume`,
      ),
    ],
  );
  return [...ofPod, ...ofContainers].filter((found) => found !== false && found !== undefined).map(String);
}

describe('our pods', () => {
  test.each(ourPods())('$name: restricted, with a read-only root', ({ template }) => {
    expect(violations(template.spec!)).toEqual([]);
  });

  test('have each kind of container', () => {
    const programs = ourPods().flatMap(({ template }) =>
      containersOf(template.spec!).map(({ command = [] }) => command.find((word) => !word.startsWith('-')) ?? ''),
    );
    expect(new Set(programs)).toEqual(new Set(['serve', '/bin/sh', 'pull-image', 'prepare-dataset', 'tune', 'push']));
  });

  test('break the standard for weights on the node, and by nothing else', () => {
    const annotations = { 'kaito.sh/use-local-weights': 'true' };
    const { template } = inferenceStatefulSet(
      inferenceInput({ workspace: workspace(QUICK_START, { annotations }) }),
    ).spec;
    expect(violations(template.spec!)).toEqual(['volume model-weights-hostpath is hostPath']);
  });
});

test('a pod that is not restricted is found', () => {
  const bare: V1PodSpec = {
    hostNetwork: true,
    volumes: [{ name: 'node', hostPath: { path: '/' } }],
    containers: [{ name: 'it', securityContext: { capabilities: { drop: ['ALL'], add: ['SYS_ADMIN'] } } }],
  };
  expect(violations(bare)).toEqual([
    'shares a namespace with its node',
    'mounts a service account token',
    'may run as root',
    'has no seccomp profile',
    'volume node is hostPath',
    'it may gain privileges',
    'it may write to its root',
    'it keeps capabilities',
    'it has no /tmp to write to',
  ]);
});
