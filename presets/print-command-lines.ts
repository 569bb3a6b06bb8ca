/**
 * `node local/bootstrap.cjs presets/print-command-lines.ts`: the command lines that the pods of each preset get, as JSON
 * `{preset: [{instanceType, args}]}`.
 *
 * One for each way to lay the model out that the known sizes lead to, on the first size of its kind, so that the test that has vLLM's own parser read
 * them meets every flag.
 */
import type { Candidate } from '../api/workflow';
import { API_VERSION, KIND, type Workspace, workspaceSpecSchema } from '../api/workspace';
// eslint-disable-next-line import-x/no-restricted-paths -- a command is a process of its own; it shows what the manifests render
import { commandLine } from '../manifests/command-line';
import { findPreset, presetNames } from './catalogue';
import { fit } from './estimator';
import { gpuSizes } from './sizes';
import type { GpuSize, Model } from './types';

interface CommandLine {
  readonly instanceType: string;
  readonly args: readonly string[];
}

function commandLines(model: Model): readonly CommandLine[] {
  const byKind = new Map<string, CommandLine>();
  for (const size of gpuSizes()) {
    const candidate = candidateOn(model, size);
    if (candidate === undefined) continue;
    const args = commandLine({ workspace: workspaceOf(model), model, candidate, config: {} });
    // Values that say how many differ from size to size; which flags there are is the kind.
    const kind = args.map((arg) => arg.replace(/=\d+(\.\d+)?$/, '')).join(' ');
    if (!byKind.has(kind)) byKind.set(kind, { instanceType: size.instanceType, args });
  }
  return [...byKind.values()];
}

function candidateOn(model: Model, size: GpuSize): Candidate | undefined {
  const result = fit(model, size.gpus);
  if (!result.fits) return undefined;
  const { layout, maxModelLen, gpuMemoryUtilization } = result;
  const { tensorParallel, dataParallel, pipelineParallel } = layout;
  return {
    provider: 'karpenter',
    instanceType: size.instanceType,
    nodeCount: layout.nodeCount,
    gpus: size.gpus,
    nvme: size.nvme,
    layout: { tensorParallel, dataParallel, pipelineParallel, maxModelLen, gpuMemoryUtilization },
  };
}

function workspaceOf(model: Model): Workspace {
  return {
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { name: 'preset', namespace: 'default', uid: '', generation: 1, resourceVersion: '1' },
    ...workspaceSpecSchema.parse({
      resource: { labelSelector: { matchLabels: { apps: 'preset' } } },
      inference: { preset: { name: model.id } },
    }),
  };
}

function catalogue(): ReadonlyMap<string, Model> {
  const found = presetNames().map((name) => findPreset(name));
  return new Map(found.flatMap((model) => (model === undefined ? [] : [[model.id, model] as const])));
}

if (require.main === module) {
  const printed = [...catalogue()].map(([id, model]) => [id, commandLines(model)] as const);
  console.log(JSON.stringify(Object.fromEntries(printed), undefined, 2));
}
