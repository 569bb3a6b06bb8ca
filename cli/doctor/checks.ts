import { toError } from '../../api/to-error';
import { readConfiguration, type Configuration } from '../../workers/configuration';
import type { ClusterAccess } from '../cluster';
import { toldOf } from '../failure';
import type { Session } from '../session';
import { checkDefinitions, checkServer } from './cluster';
import { fail, ok, skip, warn, type Finding } from './finding';
import { installedRoles, ROLES, type InstalledRole } from './installation';
import { checkGpus, checkProvider, checkStorage } from './machines';
import { checkOwnPermissions, checkRolePermissions } from './permissions';
import { checkTemporal } from './temporal';

/** Looks at everything that the product needs, in the order in which things depend on each other. Writes nothing. */
export async function* examine(session: Session): AsyncGenerator<Finding> {
  const { signal, env } = session.io;
  const cluster = clusterOf(session);
  if ('check' in cluster) {
    yield cluster;
    yield* await checkTemporal(() => session.temporal(), taskQueueOf(env), signal);
    return;
  }
  const { finding, isReachable } = await checkServer(cluster, signal);
  yield finding;
  if (!isReachable) {
    yield* await checkTemporal(() => session.temporal(), taskQueueOf(env), signal);
    return;
  }

  yield* await guarded('Workspace definition', signal, () => checkDefinitions(cluster, signal));
  yield* await guarded('your permissions', signal, () => checkOwnPermissions(cluster, session.namespace, signal));

  const found = await guarded('installation', signal, () => installedRoles(cluster, signal));
  const roles = found.filter((one): one is InstalledRole => 'role' in one);
  yield* found.filter((one): one is Finding => 'check' in one);
  yield* installationFindings(roles);
  for (const role of roles) yield await checkRolePermissions(cluster, role, signal);

  // As the worker has it; without one in the cluster, as it would have it if it were started here.
  const variables = roles.find(({ role }) => role === 'worker')?.variables ?? env;
  const configuration = configurationOf(variables);
  if ('check' in configuration) yield configuration;
  else {
    yield* await guarded('machines', signal, () => checkProvider(cluster, configuration, signal));
    yield* await guarded('storage for tuning', signal, async () => [
      await checkStorage(cluster, configuration, signal),
    ]);
  }
  yield* await guarded('GPU nodes', signal, async () => [await checkGpus(cluster, signal)]);
  yield* await checkTemporal(() => session.temporal(), taskQueueOf(variables), signal);
}

function clusterOf(session: Session): ClusterAccess | Finding {
  try {
    return session.cluster();
  } catch (error) {
    const { message, remedy = 'Set KUBECONFIG or --kubeconfig.' } = toldOf(error);
    return fail('cluster', message, remedy);
  }
}

/** What a check could not look at is told as such, and the others go on. */
async function guarded<T>(
  check: string,
  signal: AbortSignal,
  look: () => Promise<readonly T[]>,
): Promise<readonly (T | Finding)[]> {
  try {
    return await look();
  } catch (error) {
    signal.throwIfAborted();
    const { exit, message, remedy } = toldOf(error);
    return [exit === 'denied' ? skip(check, message) : fail(check, message, remedy ?? 'Try again with --debug.')];
  }
}

function installationFindings(roles: readonly InstalledRole[]): readonly Finding[] {
  if (roles.length === 0) {
    return [
      skip('installation', 'no Deployment of the chart: the product runs elsewhere, or not at all (see worker below)'),
    ];
  }
  return ROLES.map((role) => {
    const installed = roles.filter((one) => one.role === role);
    const where = installed.map(({ namespace, name }) => `${namespace}/${name}`).join(', ');
    const ready = installed.reduce((sum, one) => sum + one.readyReplicas, 0);
    const wanted = installed.reduce((sum, one) => sum + one.replicas, 0);
    if (installed.length === 0) return fail(role, `no Deployment of the ${role}`, 'Install both roles: helm upgrade.');
    if (ready === 0) {
      return fail(
        role,
        `none of ${wanted} pods of ${where} is ready`,
        `Read its log: kubectl logs deployment/${installed[0]?.name ?? ''}.`,
      );
    }
    if (ready < wanted)
      return warn(
        role,
        `${ready} of ${wanted} pods of ${where} are ready`,
        'Look at the others: kubectl describe pod.',
      );
    return ok(role, `${ready} of ${wanted} pods of ${where} are ready`);
  });
}

function configurationOf(variables: Readonly<Record<string, string | undefined>>): Configuration | Finding {
  try {
    return readConfiguration(variables);
  } catch (error) {
    return fail('configuration', toError(error).message, 'Correct these variables; docs/configuration.md has each.');
  }
}

function taskQueueOf(variables: Readonly<Record<string, string | undefined>>): string {
  return variables['KAITO_TASK_QUEUE'] || 'kaito';
}
