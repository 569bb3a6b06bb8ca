import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { generatedFiles } from './generated-files';

/**
 * `npm run generate`: writes what is made from the schema. With `-- --check` it writes nothing and fails if a file is not as it would be made.
 */
async function main(root: string, check: boolean): Promise<void> {
  const stale: string[] = [];
  for (const { path, content } of await generatedFiles()) {
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

function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

void main(dirname(__dirname), process.argv.includes('--check'));
