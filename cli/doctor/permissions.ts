import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import type { Workspace } from '../../api/workspace';
import { RESOURCES } from '../../kubernetes/resources';
import type { ClusterAccess } from '../cluster';
import { toldOf } from '../failure';
import { fail, ok, skip, warn, type Finding } from './finding';
import { type InstalledRole, type Role } from './installation';

const rulesSchema = z.array(
  z.object({
    apiGroups: z.array(z.string()),
    resources: z.array(z.string()),
    verbs: z.array(z.string()),
    resourceNames: z.array(z.string()).optional(),
  }),
);

/** One permission, as the API server is asked about it. */
export interface Permission {
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly verb: string;
  readonly name?: string;
}

/** What the commands of this program need, and which those are. */
const OWN: readonly (Permission & { readonly commands: string })[] = [
  { group: 'kaito.sh', resource: 'workspaces', verb: 'list', commands: 'get' },
  { group: 'kaito.sh', resource: 'workspaces', verb: 'get', commands: 'get, plan NAME, logs, chat' },
  {
    group: 'kaito.sh',
    resource: 'workspaces',
    verb: 'watch',
    commands: 'retry, resume and cancel with --wait, logs -f',
  },
  { group: 'kaito.sh', resource: 'workspaces', verb: 'patch', commands: 'plan -f, retry, resume' },
  { group: '', resource: 'configmaps', verb: 'get', commands: 'plan NAME, history' },
  { group: '', resource: 'pods', verb: 'list', commands: 'logs, chat' },
  { group: '', resource: 'pods', verb: 'watch', commands: 'logs -f' },
  { group: '', resource: 'services', verb: 'get', commands: 'chat' },
  { group: '', resource: 'pods', subresource: 'log', verb: 'get', commands: 'logs' },
  { group: '', resource: 'pods', subresource: 'portforward', verb: 'create', commands: 'chat' },
];

/** All rules of a role that the chart has, whatever its values leave out; undefined where the program came without the chart. */
export function neededPermissions(role: Role): readonly Permission[] | undefined {
  // From the sources, or compiled, one folder deeper.
  const file = ['../..', '../../..']
    .map((root) => join(__dirname, root, 'charts/kaito-temporal/rbac', `${role}.yaml`))
    .find((path) => existsSync(path));
  if (file === undefined) return undefined;
  return rulesSchema
    .parse(parse(readFileSync(file, 'utf8')))
    .flatMap(({ apiGroups, resources, verbs, resourceNames = [undefined] }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((path) => {
          const [resource = '', subresource] = path.split('/');
          return verbs.flatMap((verb) =>
            resourceNames.map((name) => ({
              group,
              resource,
              verb,
              ...(subresource !== undefined && { subresource }),
              ...(name !== undefined && { name }),
            })),
          );
        }),
      ),
    );
}

/** What the person at the keyboard may not do in the namespace, by command. */
export async function checkOwnPermissions(
  cluster: ClusterAccess,
  namespace: string,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { commands, ...permission } of OWN) {
    if (await isAllowed(cluster, permission, { namespace }, signal)) continue;
    findings.push(
      warn(
        'your permissions',
        `you may not ${textOf(permission)} in namespace '${namespace}'; needed by: ${commands}`,
        "Ask the cluster's administrator for it if you use these commands.",
      ),
    );
  }
  return findings.length > 0
    ? findings
    : [ok('your permissions', `all that the commands need in namespace '${namespace}'`)];
}

/** What the service account of an installed role may not do. */
export async function checkRolePermissions(
  cluster: ClusterAccess,
  { role, namespace, serviceAccount, variables }: InstalledRole,
  signal: AbortSignal,
): Promise<Finding> {
  const check = `permissions of the ${role}`;
  // As the chart's templates have it: who makes no policies has no use for the right to.
  const makesPolicies = variables['KAITO_NETWORK_POLICIES'] === 'true';
  const needed = neededPermissions(role)?.filter(({ resource }) => makesPolicies || resource !== 'networkpolicies');
  if (needed === undefined) return skip(check, 'the chart’s rules are not beside this program');
  const user = `system:serviceaccount:${namespace}:${serviceAccount}`;
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
  try {
    const missing: Permission[] = [];
    for (const permission of needed) {
      if (!(await isAllowed(cluster, permission, { user, groups }, signal))) missing.push(permission);
    }
    if (missing.length === 0) return ok(check, `${user} has all ${needed.length}`);
    if (missing.every(isSecrets)) return await judgeSecrets(cluster, check, { user, groups }, signal);
    const some = missing.slice(0, 5).map(textOf).join(', ');
    const more = missing.length > 5 ? ` and ${missing.length - 5} more` : '';
    return fail(
      check,
      `${user} may not ${some}${more}`,
      `Bind it to the chart's ClusterRole: its rules are charts/kaito-temporal/rbac/${role}.yaml.`,
    );
  } catch (error) {
    signal.throwIfAborted();
    return skip(check, `you may not ask for others: ${toldOf(error).message}`);
  }
}

/** Without the right for the whole cluster, which the chart's `rbac.secretNamespaces` takes away: whether it has it where Workspaces name Secrets. */
async function judgeSecrets(cluster: ClusterAccess, check: string, who: ByName, signal: AbortSignal): Promise<Finding> {
  const { items } = await cluster.client.list(RESOURCES.workspaces, {}, { signal });
  const wanted = new Set(items.filter(namesSecret).map(({ metadata }) => metadata.namespace));
  const refused: string[] = [];
  for (const namespace of [...wanted].toSorted()) {
    if (!(await isAllowed(cluster, GET_SECRETS, { ...who, namespace }, signal))) refused.push(namespace);
  }
  if (refused.length > 0) {
    return fail(
      check,
      `${who.user} may not ${textOf(GET_SECRETS)} in ${refused.join(', ')}, where Workspaces name some`,
      'Add these namespaces to rbac.secretNamespaces of the chart.',
    );
  }
  if (wanted.size > 0) return ok(check, `${who.user} has all; Secrets only in some namespaces, which is enough`);
  return warn(
    check,
    `${who.user} may not ${textOf(GET_SECRETS)} in all namespaces; no Workspace names one`,
    "Nothing to do where rbac.secretNamespaces of the chart is set; otherwise bind it to the chart's ClusterRole.",
  );
}

const GET_SECRETS: Permission = { group: '', resource: 'secrets', verb: 'get' };

function isSecrets({ group, resource, verb }: Permission): boolean {
  return group === GET_SECRETS.group && resource === GET_SECRETS.resource && verb === GET_SECRETS.verb;
}

/** Whether the worker has to read a Secret for it. */
function namesSecret({ inference, tuning }: Workspace): boolean {
  const { presetOptions } = inference?.preset ?? tuning?.preset ?? {};
  return presetOptions?.modelAccessSecret !== undefined || tuning?.output.imagePushSecret !== undefined;
}

interface Review {
  readonly status?: { readonly allowed?: boolean };
}

interface ByName {
  readonly user: string;
  readonly groups: readonly string[];
}

/** Oneself in a namespace, or somebody else; without a namespace: in all. */
type Who = { readonly namespace: string } | (ByName & { readonly namespace?: string });

async function isAllowed(
  cluster: ClusterAccess,
  permission: Permission,
  who: Who,
  signal: AbortSignal,
): Promise<boolean> {
  const isOther = 'user' in who;
  const kind = isOther ? 'SubjectAccessReview' : 'SelfSubjectAccessReview';
  const review = await cluster.json<Review>(
    {
      method: 'POST',
      path: `/apis/authorization.k8s.io/v1/${kind.toLowerCase()}s`,
      description: `create ${kind.toLowerCase()}s`,
      body: {
        apiVersion: 'authorization.k8s.io/v1',
        kind,
        spec: {
          ...(isOther && { user: who.user, groups: who.groups }),
          resourceAttributes: { ...permission, ...(who.namespace !== undefined && { namespace: who.namespace }) },
        },
      },
    },
    signal,
  );
  return review.status?.allowed === true;
}

function textOf({ group, resource, subresource, verb, name }: Permission): string {
  const what = `${resource}${subresource === undefined ? '' : `/${subresource}`}${group === '' ? '' : `.${group}`}`;
  return `${verb} ${what}${name === undefined ? '' : ` "${name}"`}`;
}
