import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatMarkdown } from '../../../api/generated-files';
import { cliPage } from '../../../cli/page';

test('docs/cli.md is as npm run generate makes it', async () => {
  const file = join(__dirname, '../../../docs/cli.md');
  expect(readFileSync(file, 'utf8')).toBe(await formatMarkdown(cliPage()));
});

test('every command has its section, and every option its row', () => {
  const page = cliPage();
  const commands = ['plan', 'get', 'history', 'retry', 'cancel', 'resume', 'logs', 'chat', 'doctor', 'completion'];
  expect([...page.matchAll(/^## `kaito (\w+)/gm)].map(([, name]) => name)).toEqual(commands);
  expect(page).toContain('| `--timeout <time>` | longest time to wait, for example 90s or 10m. Default: `30m`. |');
  expect(page).toContain('| 6 | the time of `--timeout` is over |');
});
