import { workspaceSpecSchema } from '../../../api/workspace';

test('parses a manifest with the defaults that the API server would fill in, and without fields that it would prune', () => {
  const template = { spec: { containers: [{ name: 'a', image: 'b', unknownHere: true }] } };
  expect(
    workspaceSpecSchema.parse({
      resource: { labelSelector: { matchLabels: { apps: 'a' } }, unknown: 1 },
      inference: { preset: { name: 'phi-4' }, template },
    }),
  ).toEqual({
    resource: { labelSelector: { matchLabels: { apps: 'a' } }, count: 1 },
    inference: { preset: { name: 'phi-4', accessMode: 'public' }, template },
  });
});

test('names the field that has the wrong type', () => {
  const parsed = workspaceSpecSchema.safeParse({ resource: { labelSelector: {}, count: 'two' } });
  expect(parsed.error?.issues.map(({ path, message }) => [path.join('.'), message])).toEqual([
    ['resource.count', 'Invalid input: expected number, received string'],
  ]);
});
