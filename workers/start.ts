import { program } from 'commander';
import { version } from '../package.json';
import { Telemetry } from '../telemetry/telemetry';
import { readConfiguration } from './configuration';
import { createLogger, installRuntime } from './logging';
import { startProduct, type Role } from './product';

/** `npm start`: runs the product against the cluster and the Temporal server that the environment names, until it is told to stop. */
async function main(): Promise<void> {
  program
    .name('start')
    .description('Runs the worker and the bridge.')
    .option('--role <role>', 'only one of them: worker or bridge')
    .parse();
  const { role } = program.opts<{ role?: string }>();
  if (role !== undefined && role !== 'worker' && role !== 'bridge') {
    program.error(`--role: '${role}' is neither worker nor bridge`);
  }
  const roles: readonly Role[] = role === undefined ? ['worker', 'bridge'] : [role];

  const configuration = readConfiguration(process.env);
  const logger = createLogger(configuration.logLevel);
  const telemetry = await Telemetry.openForProcess({
    environment: process.env,
    logger,
    version,
    roles,
    orphansKeptMs: configuration.sweep.intervalMs * 1.5,
  });
  installRuntime(logger, telemetry.runtimeOptions);
  if (configuration.httpPort !== undefined) {
    logger.info('metrics and health', { port: await telemetry.listen(configuration.httpPort) });
  }
  const stopping = new Promise<string>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
  });

  const starting = startProduct({ configuration, logger, roles, telemetry });
  const product = await Promise.race([starting, stopping]);
  if (typeof product === 'string') {
    // Nothing is at work yet, so nothing has to be handed over.
    logger.info('stopping before the start was done', { signal: product });
    process.exit();
  }
  logger.info('started', { roles, server: product.client.server, taskQueue: configuration.taskQueue });
  const signal = await Promise.race([stopping, product.running]);
  logger.info('stopping', { signal });
  await product.stop();
  await telemetry.close();
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  if (process.env['KAITO_LOG_LEVEL'] === 'debug') console.error(error);
  // Health endpoints and Temporal's runtime would keep alive a process that does nothing any more.
  process.exit(1);
});
