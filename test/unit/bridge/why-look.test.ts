import { observe } from '../../../activities/observe/observation';
import { composeStatus } from '../../../activities/status/compose';
import { whyLook, type Surroundings } from '../../../bridge/why-look';
import type { Workspace } from '../../../api/workspace';
import type { Service } from '../../../kubernetes/objects';
import { LAUNCHED, condition, node, nodeClaim, owned, statefulSet, workspace } from '../activities/objects';

const machines = { nodeClaims: [nodeClaim('ws1', LAUNCHED, { nodeName: 'n1' })], nodes: [node('n1')] };
const healthy = owned({ ...machines, statefulSet: statefulSet(1) });
const services = ['client', 'headless'].map((uid) => ({ metadata: { uid } })) as unknown as readonly Service[];
const around: Surroundings = { owned: healthy, services, configVersion: undefined, neighbour: () => undefined };

function settled(parts: Partial<Workspace> = {}, metadata: object = {}, status: object = {}): Workspace {
  const bare = workspace(parts, metadata);
  const told = composeStatus({
    workspace: bare,
    facts: { attempts: [], workflow: { id: 'i', runID: 'r' } },
    step: 'Ready',
    message: 'serving',
    now: new Date(0),
    generation: 1,
    targetNodeCount: 1,
    observation: observe(bare, 1, healthy),
    workload: { name: 'w', generation: 1, revision: '1', hash: 'h' },
  });
  return { ...bare, status: { ...told, ...status } };
}

const cases: readonly [string, Workspace, Partial<Surroundings>, string | undefined][] = [
  ['nothing, when the status tells the truth', settled(), {}, undefined],
  ['a Workspace without status', workspace(), {}, 'generation'],
  ['a newer generation', settled({}, { generation: 2 }), {}, 'generation'],
  ['deletion', settled({}, { deletionTimestamp: '2026-01-01T00:00:00Z' }), {}, 'deleted'],
  [
    'nothing, while it is being released',
    settled({}, { deletionTimestamp: '2026-01-01T00:00:00Z' }, { step: { name: 'Release' } }),
    {},
    undefined,
  ],
  [
    'a retry that was asked for',
    settled({}, { annotations: { 'kaito.sh/retry': '1' } }, { observedRetry: '0' }),
    {},
    'retry',
  ],
  [
    'nothing, for a retry that was acted on',
    settled({}, { annotations: { 'kaito.sh/retry': '1' } }, { observedRetry: '1' }),
    {},
    undefined,
  ],
  ['a replica that fell', settled(), { owned: owned({ ...machines, statefulSet: statefulSet(0) }) }, 'objects'],
  [
    'a node that fell',
    settled(),
    {
      owned: owned({
        ...machines,
        nodes: [node('n1', { ready: condition('Ready', 'Unknown') })],
        statefulSet: statefulSet(1),
      }),
    },
    'objects',
  ],
  ['a machine that is gone', settled(), { owned: owned({ statefulSet: statefulSet(1) }) }, 'objects'],
  ['a StatefulSet that is gone', settled(), { owned: owned(machines) }, 'objects'],
  [
    'a StatefulSet that was edited',
    settled(),
    {
      owned: owned({
        ...machines,
        statefulSet: statefulSet(1, 1, { metadata: { generation: 2 }, status: { observedGeneration: 2 } }),
      }),
    },
    'objects',
  ],
  ['a Service that is gone', settled(), { services: services.slice(1) }, 'objects'],
  ['nothing, while a step is at work', settled({}, {}, { step: { name: 'Serving' } }), { owned: owned({}) }, undefined],
  ['nothing, when cancelled', settled({}, {}, { step: { name: 'Cancelled' } }), { owned: owned({}) }, undefined],
  ['a new spec, though cancelled', settled({}, { generation: 2 }, { step: { name: 'Cancelled' } }), {}, 'generation'],
  [
    'a ConfigMap with other contents',
    settled({ inference: { config: 'c' } }, {}, { inferenceConfig: { name: 'c', resourceVersion: '1' } }),
    { configVersion: '2' },
    'references',
  ],
  [
    'nothing, for the ConfigMap as it was read',
    settled({ inference: { config: 'c' } }, {}, { inferenceConfig: { name: 'c', resourceVersion: '2' } }),
    { configVersion: '2' },
    undefined,
  ],
  [
    'a ConfigMap that appeared, while the plan waits for it',
    settled({ inference: { config: 'c' } }, {}, { step: { name: 'Plan' } }),
    { configVersion: '2' },
    'references',
  ],
];

test.each(cases)('%s', (_, known, seen, reason) => {
  expect(whyLook(known, { ...around, ...seen })?.reason).toBe(reason);
});

test('a difference that grows has another fingerprint', () => {
  const fallen = whyLook(settled(), { ...around, owned: owned({ ...machines, statefulSet: statefulSet(0) }) });
  const gone = whyLook(settled(), { ...around, owned: owned({ statefulSet: statefulSet(0) }) });
  expect(fallen?.fingerprint).not.toBe(gone?.fingerprint);
});
