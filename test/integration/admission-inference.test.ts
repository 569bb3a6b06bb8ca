import { Admission, byPolicy, byRule, byShape, inference, type Json } from './admission';

/** Presets, templates and adapters. What is refused, and what is not, when a Workspace is created; the message is the whole of what the user reads. */

let admission: Admission;
beforeAll(async () => {
  admission = await Admission.start();
});
afterAll(() => admission.stop());

const preset = (patch: Json) => inference({ inference: { preset: patch } });
const template = (value: unknown) => inference({ inference: { preset: null, template: value } });
const adapters = (...list: readonly Json[]) => inference({ inference: { adapters: list } });
const adapter = (patch: Json, more: Json = {}) =>
  adapters({ source: { name: 'one', image: 'registry.example.com/one:1', ...patch }, ...more });
const pod = { spec: { containers: [{ name: 'server', image: 'registry.example.com/server:1' }] } };
const pvc = { persistentVolumeClaim: { claimName: 'data' } };
const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

describe('a Workspace is created', () => {
  const accepted: readonly (readonly [string, Json])[] = [
    ['an alias in any case', preset({ name: 'Phi-3.5-mini-instruct' })],
    ['any model of Hugging Face', preset({ name: 'tiiuae/falcon-7b' })],
    ['access mode private without an image, as in KAITO', preset({ accessMode: 'private' })],
    [
      'weights from an image',
      preset({
        accessMode: 'private',
        presetOptions: { image: 'r.io/weights', imagePullSecrets: ['a.b'], modelAccessSecret: 'hf' },
      }),
    ],
    ['a Pod template', template(pod)],
    ['a ConfigMap', inference({ inference: { config: 'my.config' } })],
    [
      'ten adapters',
      adapters(
        ...Array.from({ length: 10 }, (_, i) => ({ source: { name: `a${i}`, image: 'r.io/a' }, strength: '1.0' })),
      ),
    ],
    ['an adapter from a tuning Workspace', adapter({ image: null, workspace: 'tuned' })],
    ['an adapter from a volume', adapter({ image: null, volumeSource: pvc })],
    [
      'an adapter by digest, with port and secret',
      adapter({ image: `localhost:5000/team/a_b__c-d@${digest}`, imagePullSecrets: ['s'] }),
    ],
    ...['0', '1', '0.5', '.5', '1.', '1.000', '0.0625'].map(
      (s) => [`strength ${s}`, adapter({}, { strength: s })] as const,
    ),
  ];

  test.each(accepted)('%s', async (_, manifest) => {
    expect(await admission.create(manifest)).toMatchObject({ accepted: { kind: 'Workspace' } });
  });

  test('with the defaults of the schema', async () => {
    expect(await admission.create(inference())).toMatchObject({
      accepted: { resource: { count: 1 }, inference: { preset: { accessMode: 'public' } } },
    });
  });
});

describe('a Workspace is refused', () => {
  const refused: readonly (readonly [string, Json, string])[] = [
    [
      'neither preset nor template',
      inference({ inference: { preset: null, config: 'c' } }),
      byRule('inference: Required value: has neither preset nor template: set exactly one of them'),
    ],
    [
      'both preset and template',
      inference({ inference: { template: pod } }),
      byRule('inference: Invalid value: has both preset and template: set exactly one of them'),
    ],
    [
      'a template without containers',
      template({ spec: {} }),
      byPolicy('inference.template.spec.containers: has no container: list at least one, with name and image'),
    ],
    [
      'a template with a container without an image',
      template({ spec: { containers: [{ name: 'a' }] } }),
      byPolicy('inference.template.spec.containers: a container has no name or no image: set both'),
    ],
    [
      'a model that was retired',
      preset({ name: 'Falcon-7B-instruct' }),
      byRule(
        'inference.preset.name: Invalid value: "Falcon-7B-instruct": "Falcon-7B-instruct" is no longer served: use "tiiuae/falcon-7b-instruct"',
      ),
    ],
    [
      'another model that was retired',
      preset({ name: 'phi-2' }),
      byRule('inference.preset.name: Invalid value: "phi-2": "phi-2" is no longer served: use "phi-4-mini-instruct"'),
    ],
    [
      'a model that nobody knows',
      preset({ name: 'phi-9' }),
      byRule(
        'inference.preset.name: Invalid value: "phi-9": "phi-9" is not a known model: use org/model of Hugging Face, or one of phi-4, phi-4-mini-instruct, phi-3-mini-4k-instruct, phi-3-mini-128k-instruct, phi-3-medium-4k-instruct, phi-3-medium-128k-instruct, phi-3.5-mini-instruct, deepseek-r1-distill-llama-8b, deepseek-r1-distill-qwen-14b, deepseek-r1-0528, deepseek-v3-0324, qwen2.5-coder-7b-instruct, qwen2.5-coder-32b-instruct, gpt-oss-20b, gpt-oss-120b, llama-3.1-8b-instruct, llama-3.3-70b-instruct, mistral-7b, mistral-7b-instruct, ministral-3-3b-instruct, ministral-3-8b-instruct, ministral-3-14b-instruct, mistral-large-3-675b-instruct, gemma-3-4b-instruct, gemma-3-27b-instruct',
      ),
    ],
    [
      'a model with too many slashes',
      preset({ name: 'a/b/c' }),
      byRule(
        'inference.preset.name: Invalid value: "a/b/c": "a/b/c" is not a known model: use org/model of Hugging Face, or one of phi-4, phi-4-mini-instruct, phi-3-mini-4k-instruct, phi-3-mini-128k-instruct, phi-3-medium-4k-instruct, phi-3-medium-128k-instruct, phi-3.5-mini-instruct, deepseek-r1-distill-llama-8b, deepseek-r1-distill-qwen-14b, deepseek-r1-0528, deepseek-v3-0324, qwen2.5-coder-7b-instruct, qwen2.5-coder-32b-instruct, gpt-oss-20b, gpt-oss-120b, llama-3.1-8b-instruct, llama-3.3-70b-instruct, mistral-7b, mistral-7b-instruct, ministral-3-3b-instruct, ministral-3-8b-instruct, ministral-3-14b-instruct, mistral-large-3-675b-instruct, gemma-3-4b-instruct, gemma-3-27b-instruct',
      ),
    ],
    [
      'an unknown access mode',
      preset({ accessMode: 'secret' }),
      byShape('inference.preset.accessMode: Unsupported value: "secret": supported values: "public", "private"'),
    ],
    [
      'a weights image that is none',
      preset({ presetOptions: { image: 'r.io/UPPER' } }),
      byRule(
        'inference.preset.presetOptions.image: Invalid value: "r.io/UPPER": "r.io/UPPER" is not an image reference: write registry/repository:tag with the repository in lower case, for example myregistry.azurecr.io/my-adapter:0.0.1',
      ),
    ],
    [
      'a pull secret that cannot be one',
      preset({ presetOptions: { imagePullSecrets: ['My_Secret'] } }),
      byRule(
        'inference.preset.presetOptions.imagePullSecrets[0]: Invalid value: "My_Secret": "My_Secret" is not a name that a Secret can have (lower-case letters, digits, "-" and "."): set the name of a Secret in the namespace of the Workspace',
      ),
    ],
    [
      'a token secret that cannot be one',
      preset({ presetOptions: { modelAccessSecret: 'My_Secret' } }),
      byRule(
        'inference.preset.presetOptions.modelAccessSecret: Invalid value: "My_Secret": "My_Secret" is not a name that a Secret can have (lower-case letters, digits, "-" and "."): set the name of a Secret in the namespace of the Workspace',
      ),
    ],
    [
      'a ConfigMap that cannot be one',
      inference({ inference: { config: 'My_Config' } }),
      byRule(
        'inference.config: Invalid value: "My_Config": "My_Config" is not a name that a ConfigMap can have (lower-case letters, digits, "-" and "."): set the name of a ConfigMap in the namespace of the Workspace',
      ),
    ],
    [
      'more than ten adapters',
      adapters(...Array.from({ length: 11 }, (_, i) => ({ source: { name: `a${i}`, image: 'r.io/a' } }))),
      byShape('inference.adapters: Too many: 11: must have at most 10 items'),
    ],
    [
      'two adapters of one name',
      adapters({ source: { name: 'a', image: 'r.io/a' } }, { source: { name: 'a', image: 'r.io/b' } }),
      byRule(
        'inference.adapters: Invalid value: holds the same source.name twice: give each adapter a name of its own',
      ),
    ],
    [
      'an adapter without a source',
      adapters({ strength: '1' }),
      byShape('inference.adapters[0].source: Required value'),
    ],
    [
      'an adapter without a name',
      adapters({ source: { image: 'r.io/a' } }),
      byRule(
        'inference.adapters[0].source.name: Required value: is missing: name the adapter; clients ask for it by this name',
      ),
    ],
    [
      'an adapter whose name cannot be one',
      adapter({ name: 'My_Adapter' }),
      byRule(
        'inference.adapters[0].source.name: Invalid value: "My_Adapter": "My_Adapter" cannot name an adapter (it becomes a folder and a model name): use lower-case letters, digits, "-" and "."',
      ),
    ],
    [
      'an adapter from addresses',
      adapter({ image: null, urls: ['https://example.com/a'] }),
      byRule(
        'inference.adapters[0].source.urls: Forbidden: cannot be the source of an adapter: use image, volumeSource or workspace',
      ),
    ],
    [
      'an adapter from nowhere',
      adapter({ image: null }),
      byRule(
        'inference.adapters[0].source: Required value: adapter "one" has no source: set exactly one of image, volumeSource and workspace',
      ),
    ],
    [
      'an adapter from a Workspace and an image',
      adapter({ workspace: 'tuned' }),
      byRule(
        'inference.adapters[0].source: Invalid value: adapter "one" has several sources: set exactly one of image, volumeSource and workspace',
      ),
    ],
    [
      'an adapter from what cannot be a Workspace',
      adapter({ image: null, workspace: 'A' }),
      byRule(
        'inference.adapters[0].source.workspace: Invalid value: "A": "A" is not a name that a Workspace can have (lower-case letters, digits, "-" and "."): set the name of a Workspace in the namespace of the Workspace',
      ),
    ],
    [
      'an adapter from two places',
      adapter({ volumeSource: pvc }),
      byRule(
        'inference.adapters[0].source: Invalid value: adapter "one" has several sources: set exactly one of image, volumeSource and workspace',
      ),
    ],
    [
      'an adapter from a placeholder',
      adapter({ image: 'ACR_REPO_HERE.azurecr.io/ADAPTER_HERE:0.0.1' }),
      byRule(
        'inference.adapters[0].source.image: Invalid value: "ACR_REPO_HERE.azurecr.io/ADAPTER_HERE:0.0.1": "ACR_REPO_HERE.azurecr.io/ADAPTER_HERE:0.0.1" is not an image reference: write registry/repository:tag with the repository in lower case, for example myregistry.azurecr.io/my-adapter:0.0.1',
      ),
    ],
    [
      'an adapter from two kinds of volume',
      adapter({ image: null, volumeSource: { ...pvc, emptyDir: {} } }),
      byPolicy(
        'inference.adapters[].source.volumeSource: does not name exactly one kind of volume: set one, for example persistentVolumeClaim',
      ),
    ],
    [
      'a pull secret of an adapter that cannot be one',
      adapter({ imagePullSecrets: ['A'] }),
      byRule(
        'inference.adapters[0].source.imagePullSecrets[0]: Invalid value: "A": "A" is not a name that a Secret can have (lower-case letters, digits, "-" and "."): set the name of a Secret in the namespace of the Workspace',
      ),
    ],
    [
      'a strength above 1',
      adapter({}, { strength: '1.1' }),
      byRule(
        'inference.adapters[0].strength: Invalid value: "1.1": "1.1" is not a strength: write a decimal from 0 to 1 in quotes, for example "0.5"',
      ),
    ],
    [
      'a strength that is no number',
      adapter({}, { strength: 'strong' }),
      byRule(
        'inference.adapters[0].strength: Invalid value: "strong": "strong" is not a strength: write a decimal from 0 to 1 in quotes, for example "0.5"',
      ),
    ],
    [
      'a strength without quotes',
      adapter({}, { strength: 0.5 }),
      byShape(
        'inference.adapters[0].strength: Invalid value: "number": inference.adapters[0].strength in body must be of type string: "number"',
      ),
    ],
  ];

  test.each(refused)('%s', async (_, manifest, message) => {
    expect(await admission.create(manifest)).toEqual({ refused: message });
  });
});
