import type { V1Container, V1Volume } from '@kubernetes/client-node';
import type { WorkloadConfiguration } from './configuration';
import { dnsLabel } from './digest';

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

const CREDENTIALS_DIRECTORY = '/mnt/credentials';

/** The init container, and the volume of its credentials where it has any. */
export function pullImage(
  files: ImageFiles,
  configuration: WorkloadConfiguration,
): { readonly container: V1Container; readonly volumes: readonly V1Volume[] } {
  const credentials = files.imagePullSecrets.length > 0 ? dnsLabel(`credentials-${files.name}`) : undefined;
  return {
    container: {
      name: dnsLabel(`puller-${files.name}`),
      image: configuration.adapterPullerImage,
      command: [
        'pull-image',
        `--image=${files.image}`,
        `--path=${files.path}`,
        `--to=${files.directory}`,
        ...(credentials === undefined ? [] : [`--credentials=${CREDENTIALS_DIRECTORY}`]),
      ],
      volumeMounts: [
        { name: files.volume.name, mountPath: files.volume.mountPath },
        ...(credentials === undefined ? [] : [{ name: credentials, mountPath: CREDENTIALS_DIRECTORY, readOnly: true }]),
      ],
      securityContext: { allowPrivilegeEscalation: false },
    },
    volumes:
      credentials === undefined
        ? []
        : [
            {
              name: credentials,
              projected: {
                sources: files.imagePullSecrets.map((secret, index) => ({
                  secret: { name: secret, items: [{ key: '.dockerconfigjson', path: `${index}.json` }] },
                })),
              },
            },
          ],
  };
}
