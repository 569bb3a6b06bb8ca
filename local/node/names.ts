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

/** The default one. */
export const STORAGE_CLASS = 'local';

/** PersistentVolumes of the node, and their folders. A released one is not used again, so there are more than are used at once. */
export const VOLUMES: readonly string[] = Array.from({ length: 16 }, (_, i) => `volume-${i + 1}`);
