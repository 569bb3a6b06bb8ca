import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DefaultLogger, bundleWorkflowCode, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { ROOT } from './support';

/** Where the variants differ from the present code: the beginning of every walk through the steps. */
const BEGINNING = "    record.enter('Plan');\n";

const VARIANTS = {
  /** A timer before the plan: another order of commands, but only for walks that begin with this code. */
  compatible: `    if (patched('a-new-step')) await sleep('1 ms');\n${BEGINNING}`,
  /** The same without `patched`: old histories can't be gone on with. */
  incompatible: `    await sleep('1 ms');\n${BEGINNING}`,
} as const;

/** The present workflow code, changed as a later version might be. */
export async function bundleVariant(variant: keyof typeof VARIANTS): Promise<WorkflowBundleWithSourceMap> {
  const folder = await mkdtemp(path.join(tmpdir(), `kaito-${variant}-`));
  try {
    for (const part of ['api', 'workflows']) {
      await cp(path.join(ROOT, part), path.join(folder, part), { recursive: true });
    }
    await symlink(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
    const file = path.join(folder, 'workflows', 'workspace.ts');
    const source = await readFile(file, 'utf8');
    if (source.split(BEGINNING).length !== 2) throw new Error(`${file} has not exactly one line ${BEGINNING.trim()}`);
    const changed = `import { patched, sleep } from '@temporalio/workflow';\n${source.replace(BEGINNING, VARIANTS[variant])}`;
    await writeFile(file, changed);
    return await bundleWorkflowCode({
      workflowsPath: path.join(folder, 'workflows', 'index.ts'),
      logger: new DefaultLogger('WARN'),
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
