/** Name of the real node. */
export const REAL_NODE = 'real';

/** Label by which a Workspace finds it: `resource.labelSelector.matchLabels`. */
export const REAL_NODE_LABELS = { 'kaito.sh/real': 'true' } as const;

/** Inside the node's mount namespace. */
export const CONTAINERD_SOCKET = '/run/containerd/containerd.sock';

/** The sandbox of pods; imported, never pulled. */
export const PAUSE_IMAGE = 'kaito.local/pause:1';

/** User of the registry. */
export const REGISTRY_USER = 'kaito';
