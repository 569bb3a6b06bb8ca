import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { formatMarkdown, generatedFiles, type GeneratedFile } from '../api/generated-files';
// eslint-disable-next-line import-x/no-restricted-paths -- a command is a process of its own; the product does not use the command line tool
import { cliPage } from '../cli/page';
import { azureErrorsPage } from './azure-errors-page';
import { chartValuesSchema } from './chart-values';
import { metricsPage } from '../telemetry/metrics-page';
import { configurationPage } from './configuration-page';
import { permissionsPage } from './permissions-page';

/**
 * `npm run generate`: writes what is made from the schemas of the API and of the configuration. With `-- --check` it writes nothing and fails if a
 * file is not as it would be made.
 */
async function main(root: string, check: boolean): Promise<void> {
  const stale: string[] = [];
  for (const { path, content } of await everyFile()) {
    const file = join(root, path);
    if (contentOf(file) === content) continue;
    stale.push(path);
    if (check) continue;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    console.log(`wrote ${path}`);
  }
  if (check && stale.length > 0) {
    console.error(`not as npm run generate makes it: ${stale.join(', ')}`);
    process.exitCode = 1;
  }
}

async function everyFile(): Promise<readonly GeneratedFile[]> {
  const configuration = { path: 'docs/configuration.md', content: await formatMarkdown(configurationPage()) };
  const chartValues = { path: 'charts/kaito-temporal/values.schema.json', content: chartValuesSchema() };
  const cli = { path: 'docs/cli.md', content: await formatMarkdown(cliPage()) };
  const metrics = { path: 'docs/reference/metrics.md', content: await formatMarkdown(metricsPage()) };
  const permissions = {
    path: 'docs/permissions.md',
    content: await formatMarkdown(permissionsPage(dirname(__dirname))),
  };
  const azureErrors = { path: 'docs/azure-errors.md', content: await formatMarkdown(azureErrorsPage()) };
  return [...(await generatedFiles()), metrics, configuration, chartValues, cli, azureErrors, permissions];
}

function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

void main(dirname(__dirname), process.argv.includes('--check'));
