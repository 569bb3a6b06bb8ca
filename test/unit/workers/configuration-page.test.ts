import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatMarkdown } from '../../../api/generated-files';
import { configurationSchema } from '../../../workers/configuration';
import { configurationPage } from '../../../workers/configuration-page';

const page = configurationPage();

test('docs/configuration.md is as npm run generate makes it', async () => {
  const file = join(__dirname, '../../../docs/configuration.md');
  expect(readFileSync(file, 'utf8')).toBe(await formatMarkdown(page));
});

test('every variable has one row, with its default and the values that it may have', () => {
  const rows = page.split('\n').filter((line) => line.startsWith('| `KAITO_'));
  expect(rows.map((line) => line.split('`')[1])).toEqual(Object.keys(configurationSchema.shape));
  expect(rows).toContain(
    '| `KAITO_CLOUD` | `other` | The cloud that sizes are bought from; its retired sizes are refused. One of `azure`, `aws`, `other`. |',
  );
  expect(rows).toContain('| `KAITO_RESYNC` | `1m` | How often Workspaces and workflows are compared. |');
  expect(rows).toContain('| `KAITO_TEMPORAL_UI` |  | Address of the Temporal UI, for links in the status. |');
});
