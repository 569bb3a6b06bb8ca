import { Option, program } from 'commander';
import { NativeConnection } from '@temporalio/worker';
import { readConfiguration } from './configuration';
import { temporalConfig, workflowBundle } from './product';
import { promote, workerVersion } from './versioning';

/** `npm run promote`: gives all work to the workers of this version. */
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

  const { connectionOptions, namespace } = temporalConfig({});
  const connection = await NativeConnection.connect(connectionOptions);
  try {
    await promote({ connection, namespace }, version, patienceMs);
  } finally {
    await connection.close();
  }
  const who = version.buildId === undefined ? 'workers without version get' : `version ${version.buildId} gets`;
  console.log(`deployment ${version.deploymentName}: ${who} the work`);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
