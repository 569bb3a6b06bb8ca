import type {
  V1EnvVar,
  V1PodSecurityContext,
  V1PodSpec,
  V1SecurityContext,
  V1Volume,
  V1VolumeMount,
} from '@kubernetes/client-node';

/**
 * What our own pods may do: the "restricted" Pod Security Standard, and a read-only root file system besides, so that a namespace may enforce that
 * standard. Three things that only the user can ask for leave it: weights on the node (a hostPath), a volumeSource of a kind that the standard
 * refuses, and inference.template, which is left as it was written.
 */

/** Of every pod: no credentials of the API server, and no variables that name the namespace's Services. */
export const POD_SECURITY = {
  automountServiceAccountToken: false,
  // A Service named `vllm` would set VLLM_PORT, which vLLM takes for its own setting.
  enableServiceLinks: false,
} satisfies Partial<V1PodSpec>;

/** The image says which user; one that says root is not started, and the pod's events say so. */
export const POD_SECURITY_CONTEXT = {
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
} satisfies V1PodSecurityContext;

/** Of every container. */
export const CONTAINER_SECURITY = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  readOnlyRootFilesystem: true,
} satisfies V1SecurityContext;

const SCRATCH_VOLUME = 'tmp-volume';
const HOME_VOLUME = 'home-volume';
const HOME = '/workspace/home';

/** Where programs write besides their own volumes, as their root file system is read-only. */
export const SCRATCH_VOLUMES: readonly V1Volume[] = [{ name: SCRATCH_VOLUME, emptyDir: {} }];
export const SCRATCH_MOUNTS: readonly V1VolumeMount[] = [{ name: SCRATCH_VOLUME, mountPath: '/tmp' }];

/** The same with a home, in which vLLM, PyTorch, Triton and the hub's client keep their caches. */
export const HOME_VOLUMES: readonly V1Volume[] = [...SCRATCH_VOLUMES, { name: HOME_VOLUME, emptyDir: {} }];
export const HOME_MOUNTS: readonly V1VolumeMount[] = [...SCRATCH_MOUNTS, { name: HOME_VOLUME, mountPath: HOME }];

/** The home of an image's user may be missing, or is read-only now. */
export function homeEnv(): V1EnvVar[] {
  return [
    { name: 'HOME', value: HOME },
    { name: 'HF_HOME', value: `${HOME}/huggingface` },
  ];
}
