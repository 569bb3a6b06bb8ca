/** Labels, annotations and finalizers, as KAITO's where KAITO has one. */

export const GROUP = 'kaito.sh';

export const FINALIZER = 'workspace.finalizer.kaito.sh';

export const LABEL_WORKSPACE = 'kaito.sh/workspace';
export const LABEL_WORKSPACE_NAMESPACE = 'kaito.sh/workspacenamespace';
/** UID of the Workspace on everything we make: the proof of ownership of cluster-scoped objects. */
export const LABEL_WORKSPACE_UID = 'kaito.sh/workspace-uid';

export const ANNOTATION_HASH = 'workspace.kaito.io/hash';
export const ANNOTATION_REVISION = 'workspace.kaito.io/revision';
export const LABEL_REVISION_OWNER = 'workspace.kaito.io/name';

/** Any change of its value runs the failed step again, or resumes a cancelled Workspace. */
export const ANNOTATION_RETRY = 'kaito.sh/retry';
/** `true`: a stuck teardown lets the Workspace go and leaves the rest to the sweeper. */
export const ANNOTATION_FORCE_DELETE = 'kaito.sh/force-delete';

/** `true`: machines bought for a tuning Workspace are kept when it is done, for a look at the pods or for another run. */
export const ANNOTATION_KEEP_MACHINES = 'kaito.sh/keep-machines';

/** Whether the user wants {@link ANNOTATION_KEEP_MACHINES}. */
export function keepsMachines({ annotations }: { readonly annotations?: Readonly<Record<string, string>> }): boolean {
  return annotations?.[ANNOTATION_KEEP_MACHINES] === 'true';
}

export const ANNOTATION_ENABLE_LB = 'kaito.sh/enablelb';
export const ANNOTATION_RUNTIME = 'kaito.sh/runtime';
export const ANNOTATION_BYPASS_RESOURCE_CHECKS = 'kaito.sh/bypass-resource-checks';
export const ANNOTATION_NODE_IMAGE_FAMILY = 'kaito.sh/node-image-family';
export const ANNOTATION_NODE_CLASS_NAME = 'kaito.sh/node-class-name';
export const ANNOTATION_PERFORMANCE_MODE = 'kaito.sh/performance-mode';
export const ANNOTATION_USE_LOCAL_WEIGHTS = 'kaito.sh/use-local-weights';

/** Karpenter's well-known label: `spot` or `on-demand`. */
export const LABEL_CAPACITY_TYPE = 'karpenter.sh/capacity-type';

/** On nodes of the pools that KAITO makes where it runs beside Karpenter: whose they are. */
export const LABEL_KAITO_POOL_WORKSPACE = 'karpenter.kaito.sh/workspace-name';
export const LABEL_KAITO_POOL_NAMESPACE = 'karpenter.kaito.sh/workspace-namespace';

/** Selector keys that users can't set: they are ours. */
export const RESERVED_SELECTOR_KEYS: readonly string[] = [
  LABEL_WORKSPACE,
  LABEL_WORKSPACE_NAMESPACE,
  LABEL_WORKSPACE_UID,
  'kaito.sh/ragengine',
  'kaito.sh/ragenginenamespace',
  LABEL_KAITO_POOL_WORKSPACE,
  LABEL_KAITO_POOL_NAMESPACE,
  'karpenter.kaito.sh/inferenceset',
  'karpenter.kaito.sh/inferenceset-namespace',
];

/** Field manager of server-side apply, and reporter of Events. */
export const FIELD_MANAGER = 'kaito-temporal';
