/**
 * The workload step: Services, ControllerRevision and StatefulSet are as rendered from the plan. What is already so is left alone, what was edited by
 * hand is set right, and nothing that belongs to another owner is touched.
 */
import type { Workspace } from '../../api/workspace';
import type { StepInput, WorkloadOutcome } from '../../api/workflow';
import { ANNOTATION_RENDERED_HASH } from '../../manifests/owned-stateful-set';
import { spansNodes } from '../../manifests/group';
import { clientService, headlessService } from '../../manifests/services';
import { inferenceStatefulSet } from '../../manifests/stateful-set';
import { templateStatefulSet } from '../../manifests/template-stateful-set';
import type { StatefulSet as StatefulSetManifest } from '../../manifests/objects';
import { KubernetesError } from '../../kubernetes/errors';
import type { StatefulSet } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import { currentWorkspace } from '../current-workspace';
import type { Dependencies } from '../dependencies';
import type { CandidateInput } from '../machines/acquire-machines';
import { defineStep, type StepContext } from '../step';
import { applyNetworkPolicy } from './apply-network-policy';
import { applyOwned } from './apply-owned';
import { ensureRevision } from './revisions';
import { takeOverFromKaito } from './take-over';

export function createApplyWorkload(
  deps: Dependencies,
): (input: CandidateInput & StepInput) => Promise<WorkloadOutcome> {
  return defineStep<CandidateInput, WorkloadOutcome>(
    deps,
    { name: 'Workload', life: ({ plan }) => plan },
    async (input, context) => {
      const { ref, plan, candidate } = input;
      const { signal } = context;
      const workspace = await currentWorkspace(deps, ref, plan, signal);
      await takeOverFromKaito(deps, workspace, context);
      const revision = await ensureRevision(deps, workspace, signal);
      const rendered = render(deps, input, workspace, revision);

      await Promise.all([
        applyOwned(deps, RESOURCES.services, headlessService(workspace), workspace, signal),
        applyOwned(deps, RESOURCES.services, clientService(workspace, candidate), workspace, signal),
        applyNetworkPolicy(deps, workspace, spansNodes(candidate), signal),
      ]);
      const before = deps.world.owned(ref).statefulSet;
      const statefulSet = await applyStatefulSet(deps, rendered, workspace, context);
      const hash = rendered.metadata.annotations[ANNOTATION_RENDERED_HASH] ?? '';
      if (before?.metadata.annotations?.[ANNOTATION_RENDERED_HASH] !== hash) {
        const what = before === undefined ? 'created' : 'rolled out';
        context.event(workspace, 'Normal', 'WorkloadApplied', `StatefulSet ${ref.name} ${what}, revision ${revision}`);
      }

      const generation = statefulSet.metadata.generation ?? 1;
      return { kind: 'applied', workload: { name: ref.name, generation, revision: String(revision), hash } };
    },
    { kind: 'superseded' },
  );
}

function render(
  { workload: configuration }: Dependencies,
  { plan, candidate }: CandidateInput,
  workspace: Workspace,
  revision: number,
): StatefulSetManifest {
  const { model, config, configHash, diskGiB, adapters } = plan;
  if (model === undefined) return templateStatefulSet({ workspace, candidate, revision, configuration });
  return inferenceStatefulSet({
    workspace,
    model,
    candidate,
    config,
    diskGiB,
    revision,
    configuration,
    ...(configHash !== undefined && { configHash }),
    ...(adapters !== undefined && { adapters }),
  });
}

async function applyStatefulSet(
  deps: Dependencies,
  manifest: StatefulSetManifest,
  workspace: Workspace,
  context: StepContext,
): Promise<StatefulSet> {
  try {
    return await applyOwned(deps, RESOURCES.statefulSets, manifest, workspace, context.signal);
  } catch (error) {
    // Some fields of a StatefulSet can't be changed, such as its volume claim templates: the set is made anew.
    const isImmutable =
      error instanceof KubernetesError && error.code === 422 && /updates to statefulset spec/.test(error.message);
    if (!isImmutable) throw error;
    context.event(
      workspace,
      'Normal',
      'WorkloadReplaced',
      `StatefulSet ${manifest.metadata.name} is replaced: ${error.message}`,
    );
    const { namespace, name } = manifest.metadata;
    await deps.client.delete(RESOURCES.statefulSets, { namespace, name }, { signal: context.signal });
    context.progress(`waiting until the former StatefulSet ${name} is gone`);
    await deps.world.until(
      { namespace, name },
      () => (deps.world.owned({ namespace, name }).statefulSet === undefined ? true : undefined),
      {
        signal: context.signal,
      },
    );
    return await applyOwned(deps, RESOURCES.statefulSets, manifest, workspace, context.signal);
  }
}
