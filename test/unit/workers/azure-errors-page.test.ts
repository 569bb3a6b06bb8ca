import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { RULES } from '../../../activities/machines/azure/error-catalogue';
import { formatMarkdown } from '../../../api/generated-files';
import { azureErrorsPage } from '../../../workers/azure-errors-page';

const page = azureErrorsPage();

test('docs/azure-errors.md is as npm run generate makes it', async () => {
  const file = join(__dirname, '../../../docs/azure-errors.md');
  expect(readFileSync(file, 'utf8')).toBe(await formatMarkdown(page));
});

test('every rule has one row, with what follows from it', () => {
  const rows = page.split('\n').filter((line) => /^\| (code|text|HTTP) /.test(line));
  expect(rows).toHaveLength(RULES.length);
  expect(rows).toContain(
    '| code `^SkuNotAvailable$` | Capacity | another priority or zone, then the next size | 23 h | The region does not offer this size to the subscription now; add another to resource.instanceTypes. |',
  );
  expect(rows[0]).toContain('| HTTP 429 | CloudApi | waits as long as Azure says; no attempt is counted | – |');
});
