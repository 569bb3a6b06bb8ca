import type { V1Container, V1EnvVar, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import type { ResolvedAdapter } from '../api/workflow';
import type { AdapterSpec, Workspace } from '../api/workspace';
import type { WorkloadConfiguration } from './configuration';
import { dnsLabel } from './digest';
import { pullImage } from './pull-image';
import { verbatim } from './verbatim';

const ADAPTERS_DIRECTORY = '/mnt/adapter';
const ADAPTER_VOLUME = 'adapter-volume';

/** What adapters add to the pod. */
export interface AdapterParts {
  readonly args: readonly string[];
  readonly env: readonly V1EnvVar[];
  readonly initContainers: readonly V1Container[];
  readonly volumes: readonly V1Volume[];
  readonly volumeMounts: readonly V1VolumeMount[];
  readonly imagePullSecrets: readonly string[];
}

/**
 * LoRA adapters, each served under its name beside the model. Their files end at /mnt/adapter/NAME: copied from the folder /data of an image by
 * an init container, or mounted from the user's volume. What a tuning Workspace made is copied from the image that it was pushed to, as `resolved` says.
 *
 * vLLM's own flag `--lora-modules NAME=DIR …` says where they are (`--enable-lora` is among the flags of the model). vLLM knows no strength; so `serve` reads the variable
 * KAITO_ADAPTER_STRENGTHS, JSON such as {"NAME":0.5}, which holds the adapters whose strength isn't 1, and serves a copy of these whose
 * lora_alpha is multiplied by it.
 *
 * Throws when an adapter of a tuning Workspace isn't among `resolved`: it can be served only after it was pushed.
 */
export function adapterParts(
  workspace: Workspace,
  configuration: WorkloadConfiguration,
  resolved: readonly ResolvedAdapter[] = [],
): AdapterParts {
  const adapters = (workspace.inference?.adapters ?? []).map((adapter, index) => named(adapter, index, resolved));
  const pulled = adapters.flatMap(({ name, directory, source }) =>
    source.image === undefined
      ? []
      : [
          pullImage(
            {
              name,
              image: source.image,
              imagePullSecrets: source.imagePullSecrets ?? [],
              path: '/data',
              directory,
              volume: { name: ADAPTER_VOLUME, mountPath: ADAPTERS_DIRECTORY },
            },
            configuration,
          ),
        ],
  );
  const mounted = adapters.flatMap(({ name, directory, source }) =>
    source.volumeSource === undefined
      ? []
      : [{ volume: dnsLabel(`${ADAPTER_VOLUME}-${name}`), directory, source: source.volumeSource }],
  );
  const strengths = adapters.filter(({ strength }) => strength !== 1).map(({ name, strength }) => [name, strength]);

  return {
    args:
      adapters.length === 0 ? [] : ['--lora-modules', ...adapters.map(({ name, directory }) => `${name}=${directory}`)],
    env:
      strengths.length === 0
        ? []
        : [{ name: 'KAITO_ADAPTER_STRENGTHS', value: verbatim(JSON.stringify(Object.fromEntries(strengths))) }],
    initContainers: pulled.map(({ container }) => container),
    volumes: [
      ...(pulled.length > 0 ? [{ name: ADAPTER_VOLUME, emptyDir: {} }] : []),
      ...pulled.flatMap(({ volumes }) => volumes),
      ...mounted.map(({ volume, source }) => ({ name: volume, ...source })),
    ],
    volumeMounts: [
      ...(pulled.length > 0 ? [{ name: ADAPTER_VOLUME, mountPath: ADAPTERS_DIRECTORY }] : []),
      ...mounted.map(({ volume, directory }) => ({ name: volume, mountPath: directory, readOnly: true })),
    ],
    imagePullSecrets: adapters.flatMap(({ source }) => source.imagePullSecrets ?? []),
  };
}

function named({ source, strength }: AdapterSpec, index: number, resolved: readonly ResolvedAdapter[]) {
  const name = source.name ?? `adapter-${index}`;
  return {
    name,
    source: source.workspace === undefined ? source : imageOf(name, source.workspace, resolved),
    strength: Number(strength ?? 1),
    directory: `${ADAPTERS_DIRECTORY}/${name}`,
  };
}

function imageOf(name: string, workspace: string, resolved: readonly ResolvedAdapter[]): AdapterSpec['source'] {
  const adapter = resolved.find((candidate) => candidate.name === name);
  if (adapter === undefined) throw new Error(`adapter '${name}': Workspace '${workspace}' has pushed no image yet`);
  return { image: adapter.image, imagePullSecrets: [...adapter.imagePullSecrets] };
}
