import { Admission, byPolicy, byRule, byShape, type Json, tuning } from './admission';

/** Tuning: data in, adapter out. What is refused, and what is not, when a Workspace is created; the message is the whole of what the user reads. */

let admission: Admission;
beforeAll(async () => {
  admission = await Admission.start();
});
afterAll(() => admission.stop());

const input = (patch: Json) => tuning({ tuning: { input: patch } });
const url = (address: string) => input({ urls: [address] });
const output = (patch: Json) => tuning({ tuning: { output: patch } });
const pvc = { persistentVolumeClaim: { claimName: 'data' } };
const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

describe('a Workspace is created', () => {
  const accepted: readonly (readonly [string, Json])[] = [
    ['a tuning Workspace', tuning()],
    ['a method in capitals', tuning({ tuning: { method: 'LoRA' } })],
    ['tuning with count 1', tuning({ resource: { count: 1 } })],
    ['tuning on own nodes', tuning({ resource: { instanceType: null } })],
    ['data from an image', input({ urls: null, image: 'r.io/data' })],
    ['data from a volume, beside empty addresses', input({ urls: [], volumeSource: pvc })],
    ['results on a volume, and pushed from there', output({ volumeSource: pvc })],
    ['a deadline', tuning({ tuning: { activeDeadlineSeconds: 3600 } })],
    ['results on a volume', output({ image: null, imagePushSecret: null, volumeSource: pvc })],
    ['an address with port and credentials', url('http://user:pw@Files.Example.com.:8080/a%20b.csv')],
    ['an address by public number', url('https://[2606:4700::1111]/a.csv')],
  ];

  test.each(accepted)('%s', async (_, manifest) => {
    expect(await admission.create(manifest)).toMatchObject({ accepted: { kind: 'Workspace' } });
  });
});

describe('a Workspace is refused', () => {
  const refused: readonly (readonly [string, Json, string])[] = [
    [
      'tuning on two nodes',
      tuning({ resource: { count: 2 } }),
      byRule(
        'resource.count: Invalid value: more than one node cannot tune a model: remove resource.count or set it to 1, and choose a larger instanceType',
      ),
    ],
    [
      'tuning on a part of a GPU',
      tuning({ resource: { instanceType: null, partition: { mode: 'accelerator', count: 1 } } }),
      byRule('resource.partition: Forbidden: a part of a GPU cannot tune a model: remove resource.partition'),
    ],
    ['tuning without a preset', tuning({ tuning: { preset: null } }), byShape('tuning.preset: Required value')],
    [
      'tuning a retired model',
      tuning({ tuning: { preset: { name: 'phi-2' } } }),
      byRule('tuning.preset.name: Invalid value: "phi-2": "phi-2" is no longer served: use "phi-4-mini-instruct"'),
    ],
    ['tuning without a method', tuning({ tuning: { method: null } }), byShape('tuning.method: Required value')],
    [
      'an unknown method',
      tuning({ tuning: { method: 'full' } }),
      byRule('tuning.method: Invalid value: "full": "full" is not a tuning method: use lora or qlora'),
    ],
    [
      'a training ConfigMap that cannot be one',
      tuning({ tuning: { config: 'A' } }),
      byRule(
        'tuning.config: Invalid value: "A": "A" is not a name that a ConfigMap can have (lower-case letters, digits, "-" and "."): set the name of a ConfigMap in the namespace of the Workspace',
      ),
    ],
    [
      'no data',
      input({ urls: null }),
      byRule('tuning.input: Required value: names no data: set exactly one of urls, image and volumeSource'),
    ],
    [
      'data from two places',
      input({ image: 'r.io/data' }),
      byRule('tuning.input: Invalid value: names data more than once: set exactly one of urls, image and volumeSource'),
    ],
    [
      'a data image that is none',
      input({ urls: null, image: 'r.io/Data' }),
      byRule(
        'tuning.input.image: Invalid value: "r.io/Data": "r.io/Data" is not an image reference: write registry/repository:tag with the repository in lower case, for example myregistry.azurecr.io/my-adapter:0.0.1',
      ),
    ],
    [
      'a pull secret of data that cannot be one',
      input({ urls: null, image: 'r.io/data', imagePullSecrets: ['A'] }),
      byRule(
        'tuning.input.imagePullSecrets[0]: Invalid value: "A": "A" is not a name that a Secret can have (lower-case letters, digits, "-" and "."): set the name of a Secret in the namespace of the Workspace',
      ),
    ],
    [
      'data from no kind of volume',
      input({ urls: null, volumeSource: {} }),
      byPolicy(
        'tuning.input.volumeSource: does not name exactly one kind of volume: set one, for example persistentVolumeClaim',
      ),
    ],
    [
      'no output',
      output({ image: null, imagePushSecret: null }),
      byRule('tuning.output: Required value: names neither image nor volumeSource: set at least one of them'),
    ],
    [
      'a deadline that is too short to train in',
      tuning({ tuning: { activeDeadlineSeconds: 59 } }),
      byRule(
        'tuning.activeDeadlineSeconds: Invalid value: 59: tuning.activeDeadlineSeconds in body should be greater than or equal to 60',
      ),
    ],
    [
      'output to no kind of volume',
      output({ image: null, imagePushSecret: null, volumeSource: {} }),
      byPolicy(
        'tuning.output.volumeSource: does not name exactly one kind of volume: set one, for example persistentVolumeClaim',
      ),
    ],
    [
      'an image without a push secret',
      output({ imagePushSecret: null }),
      byRule(
        'tuning.output.imagePushSecret: Required value: is missing: name the Secret (type kubernetes.io/dockerconfigjson) that may push "registry.example.com/adapter:0.0.1"',
      ),
    ],
    [
      'a push secret that is a placeholder',
      output({ imagePushSecret: 'ACR_REGISTRY_SECRET_HERE' }),
      byRule(
        'tuning.output.imagePushSecret: Invalid value: "ACR_REGISTRY_SECRET_HERE": "ACR_REGISTRY_SECRET_HERE" is not a name that a Secret can have (lower-case letters, digits, "-" and "."): set the name of a Secret in the namespace of the Workspace',
      ),
    ],
    [
      'an output image that is a placeholder',
      output({ image: 'ACR_REPO_HERE.azurecr.io/IMAGE_NAME_HERE:0.0.1' }),
      byRule(
        'tuning.output.image: Invalid value: "ACR_REPO_HERE.azurecr.io/IMAGE_NAME_HERE:0.0.1": "ACR_REPO_HERE.azurecr.io/IMAGE_NAME_HERE:0.0.1" is not an image reference: write registry/repository:tag with the repository in lower case, for example myregistry.azurecr.io/my-adapter:0.0.1',
      ),
    ],
    [
      'an output image by digest',
      output({ image: `r.io/adapter@${digest}` }),
      byRule(
        'tuning.output.image: Invalid value: "r.io/adapter@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef": "r.io/adapter@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" names a digest, which is known only after the push: write registry/repository:tag',
      ),
    ],
    [
      'an address that is none',
      url('data.csv'),
      byRule(
        'tuning.input.urls[0]: Invalid value: "data.csv": "data.csv" is not an address to download from: write http:// or https://, a host and a path',
      ),
    ],
    [
      'an address of another scheme',
      url('ftp://example.com/data.csv'),
      byRule(
        'tuning.input.urls[0]: Invalid value: "ftp://example.com/data.csv": "ftp://example.com/data.csv" is not an address to download from: write http:// or https://, a host and a path',
      ),
    ],
  ];

  test.each(refused)('%s', async (_, manifest, message) => {
    expect(await admission.create(manifest)).toEqual({ refused: message });
  });
});

describe('data is never downloaded from inside', () => {
  const inside = [
    'http://localhost/a',
    'http://LOCALHOST.:8080/a',
    'https://x.localhost/a',
    'http://metadata.google.internal/a',
    'http://metadata.google./a',
    'http://instance-data.ec2.internal/a',
    'http://127.0.0.1/a',
    'http://127.1/a',
    'http://2130706433/a',
    'http://0x7f.0.0.1/a',
    'http://0177.0.0.1/a',
    'http://0.0.0.0/a',
    'http://10.1.2.3/a',
    'http://172.31.0.1/a',
    'http://192.168.1.1/a',
    'http://169.254.169.254/latest/meta-data',
    'http://user@127.0.0.1/a',
    'http://[::1]/a',
    'http://[::]/a',
    'http://[fe80::1]/a',
    'http://[fd00::1]/a',
    'http://[::ffff:127.0.0.1]/a',
  ];

  test.each(inside)('%s', async (address) => {
    expect(await admission.create(input({ urls: ['https://example.com/a', address] }))).toEqual({
      refused: byPolicy(
        `tuning.input.urls: "${address}" leads to the machine itself, a private network or the metadata service of the cloud: use the address of a public host, or an image or a volumeSource`,
      ),
    });
  });
});
