import { Admission, byPolicy, byRule, inference, type Json, tuning } from './admission';

/** What of a Workspace can be changed later, and what cannot. */

const pod = (image: string) => ({ spec: { containers: [{ name: 'server', image }] } });

const KEPT = {
  bought: inference({
    metadata: { name: 'bought' },
    resource: { instanceTypes: ['Standard_NC6s_v3'] },
    inference: { preset: { presetOptions: { modelAccessSecret: 'old' } }, config: 'old' },
  }),
  own: inference({
    metadata: { name: 'own' },
    resource: { instanceType: null, partition: { mode: 'accelerator', count: 1 } },
  }),
  template: inference({ metadata: { name: 'template' }, inference: { preset: null, template: pod('r.io/a:1') } }),
  tuned: tuning({ metadata: { name: 'tuned' }, tuning: { input: { name: 'data' } } }),
} as const;

let admission: Admission;
const removals: (() => Promise<void>)[] = [];
beforeAll(async () => {
  admission = await Admission.start();
  for (const manifest of Object.values(KEPT)) removals.push(await admission.keep(manifest));
});
afterAll(async () => {
  for (const remove of removals) await remove();
  await admission.stop();
});

type Kept = keyof typeof KEPT;

describe('can be changed', () => {
  const accepted: readonly (readonly [string, Kept, Json])[] = [
    ['fallback sizes', 'bought', { resource: { instanceTypes: ['p4d.24xlarge'] } }],
    ['no fallback sizes any more', 'bought', { resource: { instanceTypes: null } }],
    ['preferred nodes', 'own', { resource: { preferredNodes: ['a'] } }],
    ['the ConfigMap', 'bought', { inference: { config: 'new' } }],
    ['no ConfigMap any more', 'bought', { inference: { config: null } }],
    ['adapters', 'bought', { inference: { adapters: [{ source: { name: 'a', image: 'r.io/a:1' } }] } }],
    ['the Secret with the token', 'bought', { inference: { preset: { presetOptions: { modelAccessSecret: 'new' } } } }],
    ['pull secrets', 'bought', { inference: { preset: { presetOptions: { imagePullSecrets: ['a'] } } } }],
    ['the template', 'template', { inference: { template: pod('r.io/a:2') } }],
    ['the method, in its letters’ case', 'tuned', { tuning: { method: 'QLoRA' } }],
    ['the data', 'tuned', { tuning: { input: { urls: null, image: 'r.io/data:1' } } }],
    ['the output', 'tuned', { tuning: { output: { image: 'r.io/adapter:2' } } }],
    ['the training ConfigMap', 'tuned', { tuning: { config: 'new' } }],
    ['labels and annotations', 'bought', { metadata: { labels: { a: 'b' }, annotations: { 'kaito.sh/retry': '1' } } }],
  ];

  test.each(accepted)('%s', async (_, name, patch) => {
    expect(await admission.update(name, patch)).toMatchObject({ accepted: { metadata: { name } } });
  });
});

describe('cannot be changed', () => {
  const anew = 'is immutable: delete the Workspace and create it anew with the new value';
  const size = (before: string) =>
    `resource.instanceType: Forbidden: is immutable, it was "${before}": delete the Workspace and create it anew with another size, or list fallbacks in resource.instanceTypes (v1beta1 reads an unset size as own nodes)`;
  const selector = `resource.labelSelector: Forbidden: ${anew}`;
  const partition = `resource.partition: Forbidden: ${anew}`;
  const kind =
    'inference: Forbidden: cannot go from preset to template or back: delete the Workspace and create it anew';
  const purpose =
    'inference: Forbidden: a Workspace stays what it was made for: delete it and create it anew to go from inference to tuning or back';
  const dataName =
    'tuning.input.name: Forbidden: cannot be changed once set, it was "data": delete the Workspace and create it anew';

  const refused: readonly (readonly [string, Kept, Json, string])[] = [
    ['labels of the selector', 'bought', { resource: { labelSelector: { matchLabels: { apps: 'x' } } } }, selector],
    [
      'expressions of the selector',
      'bought',
      { resource: { labelSelector: { matchExpressions: [{ key: 'a', operator: 'Exists' }] } } },
      selector,
    ],
    ['the size', 'bought', { resource: { instanceType: 'Standard_NC6' } }, size('Standard_NC24ads_A100_v4')],
    [
      'the size to none',
      'bought',
      { resource: { instanceType: null, instanceTypes: null } },
      size('Standard_NC24ads_A100_v4'),
    ],
    [
      'own nodes to bought ones',
      'own',
      { resource: { instanceType: 'Standard_NC6', partition: null } },
      `[${size('')}, ${partition}]`,
    ],
    ['the count', 'bought', { resource: { count: 2 } }, `resource.count: Forbidden: ${anew}`],
    ['the partition', 'own', { resource: { partition: { count: 2 } } }, partition],
    ['the partition to none', 'own', { resource: { partition: null } }, partition],
    ['the model', 'bought', { inference: { preset: { name: 'phi-4' } } }, `inference.preset.name: Forbidden: ${anew}`],
    [
      'the access mode',
      'bought',
      { inference: { preset: { accessMode: 'private' } } },
      `inference.preset.accessMode: Forbidden: ${anew}`,
    ],
    [
      'the image of the weights',
      'bought',
      { inference: { preset: { presetOptions: { image: 'r.io/weights:1' } } } },
      `inference.preset.presetOptions.image: Forbidden: ${anew}`,
    ],
    ['preset to template', 'bought', { inference: { preset: null, template: pod('r.io/a:1') } }, kind],
    ['template to preset', 'template', { inference: { template: null, preset: { name: 'phi-4' } } }, kind],
    ['inference to tuning', 'bought', { inference: null, tuning: tuning().tuning }, purpose],
    ['tuning to inference', 'tuned', { tuning: null, inference: inference().inference }, purpose],
    ['the model to tune', 'tuned', { tuning: { preset: { name: 'phi-4' } } }, `tuning.preset.name: Forbidden: ${anew}`],
    [
      'the method',
      'tuned',
      { tuning: { method: 'lora' } },
      'tuning.method: Forbidden: is immutable, it was "qlora": delete the Workspace and create it anew',
    ],
    ['the name of the data', 'tuned', { tuning: { input: { name: 'other' } } }, dataName],
    ['the name of the data to none', 'tuned', { tuning: { input: { name: null } } }, dataName],
  ];

  test.each(refused)('%s', async (_, name, patch, message) => {
    expect(await admission.update(name, patch)).toEqual({ refused: byRule(message, name) });
  });

  test('an annotation to a value that it cannot have', async () => {
    expect(await admission.update('bought', { metadata: { annotations: { 'kaito.sh/runtime': 'tgi' } } })).toEqual({
      refused: byPolicy(
        'metadata.annotations[kaito.sh/runtime]: "tgi" is not a value of this annotation: use vllm or transformers',
        'bought',
      ),
    });
  });
});
