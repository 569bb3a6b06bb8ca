import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';

/** The chart's roles, as its templates include them. */
export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

const FOLDER = path.resolve(__dirname, '../../charts/kaito-temporal/rbac');

export function rulesOf(role: 'worker' | 'bridge'): readonly Rule[] {
  return parse(readFileSync(path.join(FOLDER, `${role}.yaml`), 'utf8')) as readonly Rule[];
}

/** One permission: `create batch/jobs`; the core group is left out. */
export function permission(verb: string, group: string, resource: string): string {
  return `${verb} ${group === '' ? '' : `${group}/`}${resource}`;
}

/** Every permission that the rules give, each once. */
export function permissionsOf(rules: readonly Rule[]): readonly string[] {
  const all = rules.flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) => verbs.map((verb) => permission(verb, group, resource))),
    ),
  );
  return [...new Set(all)].sort();
}
