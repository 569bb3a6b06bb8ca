import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { V1ALPHA1_INSTANCE_TYPE } from '../../api/crd';
import { Admission, byRule, inference, type Json } from './admission';

/** The two versions of the API, and the manifests that users paste. */

const EXAMPLES = join(__dirname, '../../examples');

let admission: Admission;
beforeAll(async () => {
  admission = await Admission.start();
});
afterAll(() => admission.stop());

const alpha = (patch: Json) => ({ ...inference(patch), apiVersion: 'kaito.sh/v1alpha1' });

test('v1alpha1 without a size gets KAITO’s default', async () => {
  expect(await admission.create(alpha({ resource: { instanceType: null } }), 'v1alpha1')).toMatchObject({
    accepted: { resource: { instanceType: V1ALPHA1_INSTANCE_TYPE } },
  });
});

test('v1alpha1 wants an image for access mode private', async () => {
  const manifest = alpha({ inference: { preset: { accessMode: 'private' } } });
  expect(await admission.create(manifest, 'v1alpha1')).toEqual({
    refused: byRule(
      'inference.preset.presetOptions.image: Required value: is missing: accessMode private needs the image that holds the weights',
    ),
  });
});

test('what is written in one version reads the same in the other', async () => {
  const resource = {
    labelSelector: { matchLabels: { apps: 'both' } },
    partition: { mode: 'mig', profile: '1g.10gb' },
    count: 1,
  };
  const own = inference({ metadata: { name: 'both' }, resource: { ...resource, instanceType: null } });
  const remove = await admission.keep(own);
  try {
    const read = await admission.read('both', 'v1alpha1');
    expect(read).toMatchObject({ accepted: { apiVersion: 'kaito.sh/v1alpha1' } });
    expect('accepted' in read && read.accepted.resource).toEqual(resource);
    expect('accepted' in read && read.accepted.inference).toEqual({
      preset: { name: 'phi-4-mini-instruct', accessMode: 'public' },
    });
  } finally {
    await remove();
  }
});

test('a write in v1alpha1 cannot make a Workspace on own nodes buy', async () => {
  const remove = await admission.keep(inference({ metadata: { name: 'own-alpha' }, resource: { instanceType: null } }));
  try {
    expect(await admission.update('own-alpha', { metadata: { labels: { a: 'b' } } }, 'v1alpha1')).toEqual({
      refused: byRule(
        'resource.instanceType: Forbidden: is immutable, it was "": delete the Workspace and create it anew with another size, or list fallbacks in resource.instanceTypes (v1beta1 reads an unset size as own nodes)',
        'own-alpha',
      ),
    });
  } finally {
    await remove();
  }
});

describe('the manifests of the quick start', () => {
  const read = (file: string) => readFileSync(join(EXAMPLES, file), 'utf8');
  const FILLED_IN = [
    ['ACR_REPO_HERE.azurecr.io', 'myregistry.azurecr.io'],
    ['ADAPTER_HERE', 'adapter'],
    ['IMAGE_NAME_HERE', 'adapter'],
    ['ACR_REGISTRY_SECRET_HERE', 'my-registry'],
  ] as const;

  test.each(readdirSync(EXAMPLES).filter((file) => file.endsWith('.yaml')))(
    '%s is accepted when filled in',
    async (file) => {
      const filled = FILLED_IN.reduce((text, [from, to]) => text.replaceAll(from, to), read(file));
      expect(await admission.create(parse(filled) as Json, 'v1alpha1')).toMatchObject({
        accepted: { kind: 'Workspace', resource: { instanceType: 'Standard_NC6s_v3' } },
      });
    },
  );

  test('phi-3-inference.yaml is accepted as it is', async () => {
    expect(await admission.create(parse(read('phi-3-inference.yaml')) as Json, 'v1alpha1')).toHaveProperty('accepted');
  });

  const advice =
    'is not an image reference: write registry/repository:tag with the repository in lower case, for example myregistry.azurecr.io/my-adapter:0.0.1';
  const image = 'ACR_REPO_HERE.azurecr.io/IMAGE_NAME_HERE:0.0.1';
  const output =
    `[tuning.output.image: Invalid value: "${image}": "${image}" ${advice}, ` +
    'tuning.output.imagePushSecret: Invalid value: "ACR_REGISTRY_SECRET_HERE": "ACR_REGISTRY_SECRET_HERE" is not a name that a Secret can have (lower-case letters, digits, "-" and "."): set the name of a Secret in the namespace of the Workspace]';
  const adapter = 'ACR_REPO_HERE.azurecr.io/ADAPTER_HERE:0.0.1';

  test.each([
    [
      'phi-3-inference-with-adapters.yaml',
      'workspace-phi-3-mini-adapter',
      `inference.adapters[0].source.image: Invalid value: "${adapter}": "${adapter}" ${advice}`,
    ],
    ['phi-3-tuning.yaml', 'workspace-phi-3-mini', output],
    ['phi-3-tuning-128k.yaml', 'workspace-phi-3-mini-adapter', output],
  ])('%s tells which placeholders to fill in', async (file, name, message) => {
    const answer = await admission.create(parse(read(file)) as Json, 'v1alpha1');
    expect('refused' in answer && inOneOrder(answer.refused)).toEqual(inOneOrder(byRule(message, name)));
  });
});

/** The API server lists the fields of one object in no particular order. */
function inOneOrder(refusal: string): string {
  const [head = '', list = ''] = refusal.split(' is invalid: ');
  const parts = list.replace(/^\[|\]$/g, '').split(/, (?=tuning\.)/);
  return [head, ...parts.sort()].join('\n');
}
