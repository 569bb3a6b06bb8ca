/** Of the benchmark's Workspaces: their names, and the namespace of each. */
import type { WorkspaceRef } from '../../api/workflow';

/**
 * Kubernetes' own controllers compare each pod with all Services of its namespace: thousands of Workspaces in one namespace would measure
 * that, and are nowhere.
 */
const MOST_OF_A_NAMESPACE = 100;

export const NAMESPACE = 'default';

/** Names of a burst. */
export function burstNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `bench-${String(index).padStart(4, '0')}`);
}

/** Where the Workspace of this name is. */
export function refOfName(name: string): WorkspaceRef {
  const [, index] = /^bench-(\d+)$/.exec(name) ?? [];
  if (index === undefined || Number(index) < MOST_OF_A_NAMESPACE) return { namespace: NAMESPACE, name };
  return { namespace: `bench-${Math.floor(Number(index) / MOST_OF_A_NAMESPACE)}`, name };
}
