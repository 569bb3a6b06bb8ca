import { setTimeout as delay } from 'node:timers/promises';
import { Option, program } from 'commander';
import { toError } from '../api/to-error';
import { readConfiguration, type Configuration } from './configuration';
import { createLogger, installRuntime } from './logging';
import { temporalConfig, workflowBundle } from './product';
import { connectTemporal, type TemporalConnections } from './temporal-connections';
import { currentVersion, GONE_AFTER_MS, promote, workerVersion, type SeenWorker } from './versioning';

/** Between attempts to reach Temporal, which may be starting, too. */
const TRY_AGAIN_AFTER_MS = 1_000;

/** `npm run promote`, and the chart's Job: gives all work to the workers of this version. Done twice it changes nothing. */
async function main(): Promise<void> {
  program
    .name('promote')
    .description('Makes a worker version the one that gets the work, once it has a worker.')
    .addOption(
      new Option('--unversioned', 'the workers without version: to turn versions off').conflicts(['buildId', 'print']),
    )
    .option('--build-id <id>', 'another version than the one of this code: to go back')
    .option('--print', 'only print the build ID of this code')
    .option('--wait <seconds>', 'how long to wait for a worker of the version', '120')
    .parse();
  const { buildId, unversioned, print, wait } = program.opts<{
    buildId?: string;
    unversioned?: true;
    print?: true;
    wait: string;
  }>();
  const patienceMs = Number(wait) * 1_000;
  if (!(patienceMs >= 0)) program.error(`--wait: '${wait}' is no number of seconds`);

  const configuration = readConfiguration(process.env);
  const { taskQueue, versioning } = configuration;
  const isOn = unversioned !== true;
  const chosen = isOn ? (buildId ?? versioning.buildId) : undefined;
  const version = await workerVersion(
    { isOn, ...(chosen !== undefined && { buildId: chosen }) },
    taskQueue,
    isOn && chosen === undefined ? await workflowBundle(configuration) : { code: '' },
  );
  if (print === true) return console.log(version.buildId);

  const deadline = Date.now() + patienceMs;
  const connections = await reachTemporal(configuration, deadline);
  try {
    const server = { connection: connections.worker, namespace: temporalConfig({}).namespace };
    const before = await currentVersion(server, version);
    const workers = await promote(server, version, Math.max(0, deadline - Date.now()));
    const former = before === 'no deployment' ? undefined : before.buildId;
    const change = former === version.buildId ? 'as before' : `before: ${nameOf(former)}`;
    const verb = version.buildId === undefined ? 'get' : 'gets';
    console.log(`deployment ${version.deploymentName}: ${nameOf(version.buildId)} ${verb} the work (${change})`);
    if (!isOn) console.log(countedAs(workers));
  } finally {
    await connections.close();
  }
}

function nameOf(buildId: string | undefined): string {
  return buildId === undefined ? 'workers without version' : `version ${buildId}`;
}

/** A version that ended is told by its name; of workers without one, only their names and times tell those of before from the new ones. */
function countedAs(workers: readonly SeenWorker[]): string {
  const each = workers.map(({ identity, askedMsAgo }) => `${identity} (asked ${Math.round(askedMsAgo / 1_000)} s ago)`);
  return (
    `counted as such workers: ${each.join(', ') || 'none'}. ` +
    `Look that these run: one that ended without a word to Temporal is counted for ${GONE_AFTER_MS / 1_000} s`
  );
}

/** Connects as a worker does. Tries until the deadline, and says why it has to wait; throws what the last attempt did. */
async function reachTemporal(configuration: Configuration, deadline: number): Promise<TemporalConnections> {
  const logger = createLogger(configuration.logLevel);
  installRuntime(logger);
  const { connectionOptions: connection } = temporalConfig({});
  const { apiKeyFile } = configuration;
  let told: string | undefined;
  for (;;) {
    try {
      return await connectTemporal({ connection, logger, ...(apiKeyFile !== undefined && { apiKeyFile }) });
    } catch (error) {
      if (Date.now() + TRY_AGAIN_AFTER_MS > deadline) throw error;
      const { message } = toError(error);
      if (message !== told) console.error(`${message}; tried again until ${new Date(deadline).toISOString()}`);
      told = message;
      await delay(TRY_AGAIN_AFTER_MS);
    }
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
