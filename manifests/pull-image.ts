import type { V1Container, V1EnvVar, V1PodSpec, V1Volume } from '@kubernetes/client-node';
import type { WorkloadConfiguration } from './configuration';
import { dnsLabel } from './digest';
import { CONTAINER_SECURITY, SCRATCH_MOUNTS } from './pod-security';
import { verbatim } from './verbatim';

/**
 * Files that come as an image: an init container copies one folder of the image onto a volume.
 *
 * Contract of the program: `pull-image --image=REF --path=PATH --to=DIR [--credentials=DIR]` puts what the image has under PATH into DIR. It tries
 * without credentials first, then with each `*.json` of the credentials' folder (Docker's config format) in the order of their names, and
 * exits 0 only when DIR is complete; running again after an interruption is harmless.
 */
export interface ImageFiles {
  /** Tells the containers apart; any text. */
  readonly name: string;
  readonly image: string;
  readonly imagePullSecrets: readonly string[];
  /** Folder within the image. */
  readonly path: string;
  /** Where it is to end, on the volume. */
  readonly directory: string;
  readonly volume: { readonly name: string; readonly mountPath: string };
}

/** Where programs that speak to registries find credentials: Docker config files, tried in the order of their names. */
export const CREDENTIALS_DIRECTORY = '/mnt/credentials';

/** Name of the init container that gets the files of that name. */
export function pullerName(filesName: string): string {
  return dnsLabel(`puller-${filesName}`);
}

/** The init container, and the volume of its credentials where it has any. The pod has the volumes of its scratch space (pod-security.ts). */
export function pullImage(
  files: ImageFiles,
  configuration: WorkloadConfiguration,
): { readonly container: V1Container; readonly volumes: readonly V1Volume[] } {
  const credentials = files.imagePullSecrets.length > 0 ? dnsLabel(`credentials-${files.name}`) : undefined;
  return {
    container: {
      name: pullerName(files.name),
      image: configuration.adapterPullerImage,
      command: [
        'pull-image',
        `--image=${files.image}`,
        `--path=${files.path}`,
        `--to=${files.directory}`,
        ...(credentials === undefined ? [] : [`--credentials=${CREDENTIALS_DIRECTORY}`]),
      ].map(verbatim),
      ...registryEnv(configuration),
      volumeMounts: [
        ...SCRATCH_MOUNTS,
        { name: files.volume.name, mountPath: files.volume.mountPath },
        ...(credentials === undefined ? [] : [{ name: credentials, mountPath: CREDENTIALS_DIRECTORY, readOnly: true }]),
      ],
      terminationMessagePolicy: 'FallbackToLogsOnError',
      securityContext: CONTAINER_SECURITY,
    },
    volumes: credentials === undefined ? [] : [credentialsVolume(credentials, files.imagePullSecrets)],
  };
}

/** Secrets of type kubernetes.io/dockerconfigjson as files 0.json, 1.json …; the pod waits, and its events say so, while one is missing. */
export function credentialsVolume(name: string, secrets: readonly string[]): V1Volume {
  return {
    name,
    projected: {
      sources: secrets.map((secret, index) => ({
        secret: { name: secret, items: [{ key: '.dockerconfigjson', path: `${index}.json` }] },
      })),
    },
  };
}

/** What programs that speak to registries have to know of them. */
export function registryEnv({ insecureRegistries = [] }: WorkloadConfiguration): { env?: V1EnvVar[] } {
  return insecureRegistries.length === 0
    ? {}
    : { env: [{ name: 'KAITO_INSECURE_REGISTRIES', value: insecureRegistries.join(',') }] };
}

/** Secrets that the kubelet pulls the pod's own images with, each once. */
export function pullSecrets(...secrets: readonly (readonly string[])[]): Pick<V1PodSpec, 'imagePullSecrets'> {
  const names = new Set(secrets.flat());
  return names.size > 0 ? { imagePullSecrets: [...names].map((name) => ({ name })) } : {};
}
