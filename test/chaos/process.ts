/**
 * The worker or the bridge as a process of the chaos run. It loads everything, says "started", and begins when it is told to: so another stands
 * ready the moment one is killed.
 */
import { readFileSync } from 'node:fs';

import { readConfiguration } from '../../workers/configuration';
import { createLogger, installRuntime } from '../../workers/logging';
import { startProduct, type Role } from '../../workers/product';

/** What the parent says. */
export type Order = 'begin';
/** What it hears, when the role is at work. */
export type Report = 'at work';

async function begin(role: Role, bundleFile: string): Promise<void> {
  const configuration = readConfiguration(process.env);
  const logger = createLogger(configuration.logLevel);
  installRuntime(logger);
  const product = await startProduct({
    configuration,
    logger,
    roles: [role],
    workflowBundle: { code: readFileSync(bundleFile, 'utf8'), sourceMap: '' },
  });
  process.send?.('at work' satisfies Report);
  await product.running;
}

const [role, bundleFile] = process.argv.slice(2) as [Role, string];
process.once('message', () => {
  begin(role, bundleFile).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  });
});
// Until then nothing else keeps it awake.
process.channel?.ref();
process.stdout.write('{"msg":"started"}\n');
