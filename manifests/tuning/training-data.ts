import type { V1Container, V1EnvVar, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import type { Workspace } from '../../api/workspace';
import type { WorkloadConfiguration } from '../configuration';
import { CONFIG_DIRECTORY } from '../names';
import { pullerName, pullImage } from '../pull-image';
import { tuningOf } from './results';
import { verbatim } from '../verbatim';

/** Where the training's data lies; a user's `DatasetConfig.dataset_path` points into it. */
const DATA_DIRECTORY = '/mnt/data';
const DATA_VOLUME = 'data-volume';
/** Where images carry data, as KAITO has it. */
const DIRECTORY_IN_IMAGE = '/data';
const DATA = 'data';

/** The init container that copies the data from an image. */
export const DATA_CONTAINER = pullerName(DATA);
/** The init container that downloads data, and checks it wherever it came from. */
export const DATASET_CONTAINER = 'prepare-dataset';

/** Flags by which `prepare-dataset` and `tune` find the same data and parameters. Without a ConfigMap there is no such file, and defaults hold. */
export const DATA_FLAGS: readonly string[] = [
  `--data=${DATA_DIRECTORY}`,
  `--config=${CONFIG_DIRECTORY}/training_config.yaml`,
];

/** What the data adds to the pod. */
export interface DataParts {
  /** The copy from an image, where that is the source. */
  readonly initContainers: readonly V1Container[];
  readonly volumes: readonly V1Volume[];
  /** For whoever writes data. */
  readonly volumeMount: V1VolumeMount;
  /** Variables of `prepare-dataset`. */
  readonly env: readonly V1EnvVar[];
  readonly imagePullSecrets: readonly string[];
}

/** Training data: downloaded by `prepare-dataset`, copied from the folder /data of an image, or on the user's volume, to which nothing is written. */
export function dataParts(workspace: Workspace, configuration: WorkloadConfiguration): DataParts {
  const { urls = [], image, imagePullSecrets = [], volumeSource } = tuningOf(workspace).input;
  if (volumeSource !== undefined) {
    return {
      initContainers: [],
      volumes: [{ name: DATA_VOLUME, ...volumeSource }],
      volumeMount: { name: DATA_VOLUME, mountPath: DATA_DIRECTORY, readOnly: true },
      env: [],
      imagePullSecrets: [],
    };
  }
  const volumeMount = { name: DATA_VOLUME, mountPath: DATA_DIRECTORY };
  const pulled =
    image === undefined
      ? undefined
      : pullImage(
          {
            name: DATA,
            image,
            imagePullSecrets,
            path: DIRECTORY_IN_IMAGE,
            directory: DATA_DIRECTORY,
            volume: volumeMount,
          },
          configuration,
        );
  return {
    initContainers: pulled ? [pulled.container] : [],
    volumes: [{ name: DATA_VOLUME, emptyDir: {} }, ...(pulled?.volumes ?? [])],
    volumeMount,
    env: urls.length === 0 ? [] : downloadEnv(urls, configuration),
    imagePullSecrets: pulled ? imagePullSecrets : [],
  };
}

function downloadEnv(urls: readonly string[], { datasetPrivateHosts = [] }: WorkloadConfiguration): V1EnvVar[] {
  return [
    { name: 'KAITO_DATASET_URLS', value: verbatim(JSON.stringify(urls)) },
    ...(datasetPrivateHosts.length === 0
      ? []
      : [{ name: 'KAITO_DATASET_PRIVATE_HOSTS', value: datasetPrivateHosts.join(',') }]),
  ];
}
