import { workspaceCrd, type Structural } from '../../../api/crd';
import { PRESET_ALIASES } from '../../../api/preset-names';
import { RETIRED_PRESETS } from '../../../api/retired-presets';
import { HUB_ID } from '../../../api/patterns';

const [alpha, beta] = workspaceCrd().spec.versions.map(({ schema }) => schema.openAPIV3Schema);

/** The schema without words and rules: names, types, defaults. */
function outline(schema: Structural | undefined): unknown {
  if (!schema) return undefined;
  if (schema.items) return [outline(schema.items)];
  if (schema.additionalProperties) return { '<any>': outline(schema.additionalProperties) };
  if (!schema.properties) {
    const type = schema['x-kubernetes-preserve-unknown-fields'] ? 'any object' : (schema.format ?? schema.type);
    return schema.default === undefined ? type : `${type} = ${JSON.stringify(schema.default)}`;
  }
  const entries = Object.entries(schema.properties);
  return Object.fromEntries(
    entries.map(([name, child]) => [schema.required?.includes(name) ? `${name}*` : name, outline(child)]),
  );
}

test('has these fields', () => {
  expect(outline(beta)).toMatchSnapshot();
});

test('differs between the versions in the default of the size only', () => {
  const differences = JSON.stringify(outline(alpha)).replace('string = \\"Standard_NC24ads_A100_v4\\"', 'string');
  expect(differences).toBe(JSON.stringify(outline(beta)));
});

test('is stored as v1beta1 and converted by nothing', () => {
  const { versions, conversion, names } = workspaceCrd().spec;
  expect(versions.map(({ name, served, storage }) => ({ name, served, storage }))).toEqual([
    { name: 'v1alpha1', served: true, storage: false },
    { name: 'v1beta1', served: true, storage: true },
  ]);
  expect(conversion).toEqual({ strategy: 'None' });
  expect(names).toMatchObject({ shortNames: ['wk', 'wks'], categories: ['workspace'] });
});

test('says of every field what it is, for kubectl explain', () => {
  const silent: string[] = [];
  const visit = (path: string, schema: Structural) => {
    if (!schema.description && !path.startsWith('.metadata')) silent.push(path);
    for (const [name, child] of Object.entries(schema.properties ?? {})) visit(`${path}.${name}`, child);
    if (schema.items) visit(`${path}[]`, schema.items);
  };
  if (beta) visit('', beta);
  expect(silent).toEqual([]);
});

test('leads from every retired name to one that is served', () => {
  const dead = Object.values(RETIRED_PRESETS).filter(
    (use) => !(use in PRESET_ALIASES) && !new RegExp(HUB_ID).test(use),
  );
  expect(dead).toEqual([]);
});
