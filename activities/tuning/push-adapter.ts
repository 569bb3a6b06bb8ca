/**
 * The push step: a Job of its own carries the adapter from the output volume to the registry. What the registry refuses is tried again here, and
 * only here: the training is over.
 */
import { z } from 'zod';
import { CauseError } from '../../api/causes';
import type { TuningStatus, Workspace } from '../../api/workspace';
import type { PushInput, PushOutcome } from '../../api/workflow';
import { pushJob, pushJobName } from '../../manifests/tuning/push-job';
import { RESOURCES } from '../../kubernetes/resources';
import { currentWorkspace } from '../current-workspace';
import type { Dependencies } from '../dependencies';
import { observeJob } from '../observe/job';
import { defineStep, type StepContext } from '../step';
import { troubleTeller } from '../tell-trouble';
import { pushDeadline } from './deadlines';
import { ensureJob } from './ensure-job';
import { readResult } from './job-result';
import { checkPushSecret } from './push-secret';
import { tuningOf } from './tuning-of';

/** The result of `push`; presets/runtime/README.md. */
const resultSchema = z.object({ image: z.string(), digest: z.string().regex(/^sha256:[0-9a-f]{64}$/) });

export function createPushAdapter(deps: Dependencies): (input: PushInput) => Promise<PushOutcome> {
  return defineStep<PushInput, PushOutcome>(
    deps,
    { name: 'Push', life: ({ plan }) => plan },
    async ({ ref, plan, keptUntil }, context) => {
      const tuning = tuningOf(plan);
      const { push, claim } = tuning;
      if (push === undefined) throw new TypeError('nothing is to be pushed');
      const workspace = await currentWorkspace(deps, ref, plan, context.signal);
      const { namespace } = ref;
      if (claim !== undefined && !(await hasClaim(deps, namespace, claim.name, context.signal))) {
        const what = `PersistentVolumeClaim ${claim.name} is gone, and the adapter with it`;
        context.event(workspace, 'Warning', 'Lost', `${what}; it is trained again`);
        return { kind: 'lost', what };
      }

      const message = `pushing the adapter to ${push.image}`;
      const following = context.follow(workspace, () => {
        const deadline = pushDeadline(deps.world.workspace(ref) ?? workspace, deps.world.owned(ref), keptUntil);
        return { plan, message, ...(deadline !== undefined && { deadline }) };
      });
      let result: z.infer<typeof resultSchema>;
      try {
        await checkPushSecret(deps, { namespace, name: push.secretName }, context.signal);
        const job = pushJob({ workspace, tuning, configuration: deps.workload });
        await ensureJob(deps, workspace, job, 'failed', context);
        await untilPushed(deps, workspace, context);
        result = await readPushed(deps, workspace, context.signal);
      } finally {
        await following.stop();
      }

      const done: TuningStatus = {
        ...deps.status.latest(workspace).status?.tuning,
        hash: tuning.hash,
        image: result.image,
        digest: result.digest,
        pushedTime: deps.now().toISOString(),
      };
      const pushed = `the adapter is pushed to ${result.image}, digest ${result.digest}`;
      context.event(workspace, 'Normal', 'Pushed', pushed);
      return { kind: 'pushed', status: await context.tell(workspace, { plan, message: pushed, tuning: done }) };
    },
    { kind: 'superseded' },
  );
}

async function untilPushed(deps: Dependencies, workspace: Workspace, context: StepContext): Promise<void> {
  const { namespace, name } = workspace.metadata;
  const ref = { namespace, name };
  const tellTrouble = troubleTeller(workspace, context);
  await deps.world.until(
    ref,
    () => {
      const { jobs, pods } = deps.world.owned(ref);
      const job = jobs.find(({ metadata }) => metadata.name === pushJobName(name));
      const health = observeJob(job, pods, { crashed: 'CrashLoop', now: deps.now() });
      switch (health.phase) {
        case 'succeeded':
          return true;
        case 'failed':
          throw new CauseError(health.failure);
        case 'running':
          context.progress(`pod ${health.pod} pushes`);
          return undefined;
        case 'waiting':
          context.progress(health.message);
          tellTrouble(health.failure);
          return undefined;
        case 'absent':
          return undefined;
      }
    },
    { signal: context.signal },
  );
}

async function readPushed(
  deps: Dependencies,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<z.infer<typeof resultSchema>> {
  const jobName = pushJobName(workspace.metadata.name);
  const parsed = resultSchema.safeParse(await readResult(deps, workspace, jobName, signal));
  if (parsed.success) return parsed.data;
  // Its pod is gone with its node: pushing again sends nothing that is there, and says the digest.
  const { namespace } = workspace.metadata;
  await deps.client.delete(RESOURCES.jobs, { namespace, name: jobName }, { propagationPolicy: 'Foreground', signal });
  throw new CauseError({ cause: 'CrashLoop', message: `Job ${jobName} ended without saying what it pushed` });
}

async function hasClaim(
  { client }: Dependencies,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<boolean> {
  const claim = await client.get(RESOURCES.persistentVolumeClaims, { namespace, name }, { signal });
  return claim !== undefined && claim.metadata.deletionTimestamp === undefined && claim.status?.phase !== 'Lost';
}
