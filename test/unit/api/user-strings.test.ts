import { workspaceStructural, type Structural } from '../../../api/crd';

/** Every text that a user may write into a Workspace is judged by the API server, or is one of a few that need no judgement. */

/** Where the text goes, and why any is harmless there. */
const ANY_TEXT: Readonly<Record<string, string>> = {
  'resource.labelSelector.matchLabels{}': 'judged with its key, by the rule of matchLabels',
  'inference.adapters[].source.urls[]': 'any of it is refused',
  'tuning.input.name': 'compared with its former value, and used for nothing else',
};

/** Kubernetes' own objects, judged by the API server as parts of the StatefulSet or Job that they become. */
const PARTS_OF_PODS = [
  'inference.adapters[].source.volumeSource',
  'inference.template',
  'tuning.input.volumeSource',
  'tuning.output.volumeSource',
];

interface Found {
  readonly texts: string[];
  readonly unjudged: string[];
  readonly unbounded: string[];
  readonly schemaless: string[];
}

function walk(node: Structural, at: string, found: Found): void {
  if (node['x-kubernetes-preserve-unknown-fields'] === true) found.schemaless.push(at);
  if (node.type === 'string') {
    found.texts.push(at);
    if (node.enum === undefined && node['x-kubernetes-validations'] === undefined) found.unjudged.push(at);
    if (node.enum === undefined && node['maxLength'] === undefined) found.unbounded.push(at);
  }
  for (const [name, inner] of Object.entries(node.properties ?? {}))
    walk(inner, at === '' ? name : `${at}.${name}`, found);
  if (node.items !== undefined) walk(node.items, `${at}[]`, found);
  if (node.additionalProperties !== undefined) walk(node.additionalProperties, `${at}{}`, found);
}

test('every text of a Workspace is judged at admission', () => {
  const found: Found = { texts: [], unjudged: [], unbounded: [], schemaless: [] };
  const { properties = {} } = workspaceStructural();
  for (const part of ['resource', 'inference', 'tuning']) walk(properties[part]!, part, found);
  expect(found.unjudged.sort()).toEqual(Object.keys(ANY_TEXT).sort());
  expect(found.schemaless.sort()).toEqual(PARTS_OF_PODS);
  expect(found.unbounded).toEqual([]);
  expect(found.texts.length).toBeGreaterThan(30);
});
