import { Admission, byPolicy, inference, type Json } from './admission';

/** Annotations. What is refused, and what is not, when a Workspace is created; the message is the whole of what the user reads. */

let admission: Admission;
beforeAll(async () => {
  admission = await Admission.start();
});
afterAll(() => admission.stop());

const annotated = (key: string, value: string) =>
  inference({ metadata: { annotations: { [`kaito.sh/${key}`]: value } } });

describe('a Workspace is created', () => {
  const accepted: readonly (readonly [string, Json])[] = [
    ['an image family in any case', annotated('node-image-family', ' Ubuntu ')],
    ['a performance mode', annotated('performance-mode', 'throughput')],
    ['local weights', annotated('use-local-weights', 'true')],
    ['a runtime', annotated('runtime', 'transformers')],
    ['a load balancer', annotated('enablelb', 'True')],
    ['no load balancer', annotated('enablelb', 'false')],
    ['a node class', annotated('node-class-name', 'gpu.large')],
    ['a retry', annotated('retry', '2026-11-22T14:30:00.000Z')],
    ['an annotation of somebody else', annotated('something', 'else')],
  ];

  test.each(accepted)('%s', async (_, manifest) => {
    expect(await admission.create(manifest)).toMatchObject({ accepted: { kind: 'Workspace' } });
  });
});

describe('a Workspace is refused', () => {
  const refused: readonly (readonly [string, Json, string])[] = [
    [
      'an unknown image family',
      annotated('node-image-family', 'debian'),
      byPolicy(
        'metadata.annotations[kaito.sh/node-image-family]: "debian" is not a value of this annotation: use azurelinux or ubuntu',
      ),
    ],
    [
      'an unknown performance mode',
      annotated('performance-mode', 'fast'),
      byPolicy(
        'metadata.annotations[kaito.sh/performance-mode]: "fast" is not a value of this annotation: use balanced or interactivity or throughput',
      ),
    ],
    [
      'an unknown value for local weights',
      annotated('use-local-weights', 'yes'),
      byPolicy(
        'metadata.annotations[kaito.sh/use-local-weights]: "yes" is not a value of this annotation: use true or false',
      ),
    ],
    [
      'an unknown runtime',
      annotated('runtime', 'tgi'),
      byPolicy(
        'metadata.annotations[kaito.sh/runtime]: "tgi" is not a value of this annotation: use vllm or transformers',
      ),
    ],
    [
      'an unknown value for the load balancer',
      annotated('enablelb', 'true'),
      byPolicy(
        'metadata.annotations[kaito.sh/enablelb]: "true" is not a value of this annotation: use True or False or false',
      ),
    ],
    [
      'an unknown value for forced deletion',
      annotated('force-delete', 'yes'),
      byPolicy(
        'metadata.annotations[kaito.sh/force-delete]: "yes" is not a value of this annotation: use true or false',
      ),
    ],
    [
      'a node class that cannot be one',
      annotated('node-class-name', 'A B'),
      byPolicy(
        'metadata.annotations[kaito.sh/node-class-name]: "A B" cannot be the name of a NodeClass: use lower-case letters, digits, "-" and "."',
      ),
    ],
    [
      'a retry that is a whole text',
      annotated('retry', 'x'.repeat(129)),
      byPolicy('metadata.annotations[kaito.sh/retry]: is longer than 128 characters: write the time, for example'),
    ],
  ];

  test.each(refused)('%s', async (_, manifest, message) => {
    expect(await admission.create(manifest)).toEqual({ refused: message });
  });
});
