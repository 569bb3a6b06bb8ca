/**
 * The training's progress, from the lines that `tune` prints.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { TrainingProgress, Workspace } from '../../api/workspace';
import { LineSplitter } from '../../kubernetes/lines';
import type { Dependencies } from '../dependencies';
import { observeTraining } from '../observe/observation';

const PREFIX = 'KAITO_PROGRESS ';

/** Progress is told so often at most; a training takes minutes to days. */
const TELL_EVERY_MS = 10_000;
const RECONNECT_MS = 5_000;
/** A step of a large model may take minutes. */
const SILENCE_MS = 600_000;

const lineSchema = z.object({
  step: z.int(),
  steps: z.int(),
  loss: z.number().nullish(),
  tokensPerSecond: z.number().nullish(),
  etaSeconds: z.number().nullish(),
  checkpoint: z.int().nullish(),
});

/** The progress that a line tells; undefined for all other lines. */
export function parseProgress(line: string, now: Date): TrainingProgress | undefined {
  if (!line.startsWith(PREFIX)) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(line.slice(PREFIX.length));
  } catch {
    return undefined; // cut off with the end of the log
  }
  const parsed = lineSchema.safeParse(json);
  if (!parsed.success) return undefined;
  const { step, steps, loss, tokensPerSecond, etaSeconds, checkpoint } = parsed.data;
  return {
    step,
    steps,
    ...(typeof loss === 'number' && { loss: String(loss) }),
    ...(typeof tokensPerSecond === 'number' && { tokensPerSecond: Math.round(tokensPerSecond) }),
    ...(typeof etaSeconds === 'number' && { etaSeconds: Math.round(etaSeconds) }),
    ...(typeof checkpoint === 'number' && { checkpoint }),
    time: now.toISOString(),
  };
}

/** Follows the training's log for as long as a pod of it runs, across pods. Returns how to end that. */
export function followProgress(
  deps: Dependencies,
  workspace: Workspace,
  signal: AbortSignal,
  onProgress: (progress: TrainingProgress) => void,
): () => Promise<void> {
  const end = new AbortController();
  const stop = AbortSignal.any([signal, end.signal]);
  const following = follow(deps, workspace, stop, throttled(deps, stop, onProgress)).catch((error: unknown) => {
    if (!stop.aborted) deps.logger.warn('the progress of a training is followed no more', { error });
  });
  return async () => {
    end.abort();
    await following;
  };
}

async function follow(
  deps: Dependencies,
  workspace: Workspace,
  signal: AbortSignal,
  onProgress: (progress: TrainingProgress) => void,
): Promise<void> {
  const { namespace, name } = workspace.metadata;
  const ref = { namespace, name };
  while (!signal.aborted) {
    const pod = await deps.world.until(
      ref,
      () => {
        const job = observeTraining(workspace, deps.world.owned(ref));
        return job.phase === 'running' && job.container === name ? job.pod : undefined;
      },
      { signal },
    );
    try {
      const options = { signal, tailLines: 10, inactivityTimeoutMs: SILENCE_MS };
      const lines = new LineSplitter();
      for await (const chunk of await deps.client.followLog({ namespace, name: pod }, name, options)) {
        for (const line of lines.push(chunk)) {
          const progress = parseProgress(line, deps.now());
          if (progress !== undefined) onProgress(progress);
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      // The training goes on without being watched; its end is seen on the Job.
      deps.logger.warn('the log of a training could not be read; it is tried again', { namespace, pod, error });
    }
    await delay(RECONNECT_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** The first and the last of what comes within a while. */
function throttled(
  { now }: Dependencies,
  signal: AbortSignal,
  onProgress: (progress: TrainingProgress) => void,
): (progress: TrainingProgress) => void {
  let latest: TrainingProgress | undefined;
  let toldAt = -Infinity;
  let timer: NodeJS.Timeout | undefined;
  const tell = (): void => {
    timer = undefined;
    toldAt = now().getTime();
    if (latest !== undefined && !signal.aborted) onProgress(latest);
  };
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  return (progress) => {
    latest = progress;
    timer ??= setTimeout(tell, Math.max(0, toldAt + TELL_EVERY_MS - now().getTime()));
  };
}
