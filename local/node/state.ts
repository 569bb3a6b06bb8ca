/** What an environment notes of its real node, before anything of it exists, so that `down` can remove all of it. */
export interface NodeState {
  /** Its addresses, interfaces and control groups follow from it: see addresses.ts. */
  readonly block: number;
  readonly cgroupVersion: 1 | 2;
  /** Folder of the image store. */
  readonly imageStore: string;
  readonly snapshotter: 'overlayfs' | 'native';
  /** Bearer tokens towards the API server. */
  readonly tokens: { readonly kubelet: string; readonly kubeProxy: string };
  readonly registryPassword: string;
}
