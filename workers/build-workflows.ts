import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { program } from 'commander';
import { bundleWorkflows } from './product';

/** `npm run build:workflows`: writes the workflow code as one file, for `KAITO_WORKFLOW_BUNDLE`. */
async function main(): Promise<void> {
  program.name('build:workflows').argument('[file]', 'where to', 'dist/workflow-bundle.js').parse();
  const [file = ''] = program.processedArgs as [string];
  const { code } = await bundleWorkflows();
  await mkdir(path.dirname(file), { recursive: true });
  // Whole or not at all: a worker may be reading it.
  await writeFile(`${file}.tmp`, code);
  await rename(`${file}.tmp`, file);
  console.log(`wrote ${file}, ${Math.round(code.length / 1024)} KiB`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
