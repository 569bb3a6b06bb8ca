import type { Workspace } from '../../api/workspace';
import { Cache } from '../../kubernetes/cache';
import { deferred } from '../../kubernetes/deferred';
import { SILENT_LOGGER } from '../../kubernetes/logger';
import type { Pod } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import type { ClusterAccess } from '../cluster';
import type { Io } from '../io';
import { followPod, type Following } from './follow-pod';
import type { LogFlags } from './request';
import { selectorOf, type Part } from './targets';

const IT = 'it';

export interface FollowOptions extends LogFlags {
  readonly cluster: Pick<ClusterAccess, 'client' | 'stream'>;
  readonly io: Pick<Io, 'out' | 'err' | 'signal'>;
  readonly workspace: Workspace;
  /** Only of this part; left out: of whatever is at work. */
  readonly part?: Part;
  /** Only of this pod. */
  readonly pod?: string;
  /** The pods there are, and those of them to follow: others of them are over. */
  readonly present: readonly Pod[];
  readonly chosen: readonly Pod[];
}

/**
 * `kaito logs -f`: follows the chosen pods and every one that appears later, from its first line. Ends when nothing more is to come (the Workspace is
 * gone, or its tuning has ended) and all was printed; throws when `io.signal` aborts.
 */
export async function followLogs(options: FollowOptions): Promise<void> {
  const { cluster, io, workspace, part, pod: only, present, chosen } = options;
  const { namespace, name, uid } = workspace.metadata;
  const stop = new AbortController();
  const signal = AbortSignal.any([io.signal, stop.signal]);
  const pods = new Cache(cluster.client, {
    resource: RESOURCES.pods,
    namespace,
    labelSelector: selectorOf(workspace, part),
    logger: SILENT_LOGGER,
    index: ({ metadata }) => [metadata.uid],
  });
  const workspaces = new Cache(cluster.client, {
    resource: RESOURCES.workspaces,
    namespace,
    fieldSelector: `metadata.name=${name}`,
    logger: SILENT_LOGGER,
    index: () => [IT],
  });

  const over = deferred<void>();
  let isOver = false;
  const names = new Set(chosen.map(({ metadata }) => metadata.name));
  const note = (text: string): void => io.err(`note: ${text}\n`);
  const following: Following = {
    cluster,
    pods,
    // With a second pod the names begin.
    print: (pod, line) => io.out(names.size > 1 ? `${pod}: ${line}\n` : `${line}\n`),
    note,
    over: over.promise,
    isOver: () => isOver,
    signal,
  };

  const followers: Promise<void>[] = [];
  const appeared = ({ metadata }: Pod): void => {
    const known = chosen.find((one) => one.metadata.uid === metadata.uid);
    const isFirst = known !== undefined;
    if (only !== undefined && metadata.name !== only) return;
    if (!isFirst) {
      if (isOver || present.some((one) => one.metadata.uid === metadata.uid)) return;
      names.add(metadata.name);
      note(`pod ${metadata.name} has appeared`);
    }
    const { container, timestamps } = options;
    const whole = { ...(container !== undefined && { container }), ...(timestamps !== undefined && { timestamps }) };
    followers.push(
      // What ends one ends all: the user has to know.
      followPod(following, metadata.uid, isFirst ? options : whole, known).catch((error: unknown) => stop.abort(error)),
    );
  };

  try {
    pods.start().subscribe((event) => {
      if (event.type === 'added') appeared(event.object);
      if (event.type === 'deleted' && names.has(event.object.metadata.name)) {
        note(`pod ${event.object.metadata.name} is gone`);
      }
    });
    // The pods that are there come first, even if all is over.
    await pods.waitFor(IT, () => true, { signal });
    const why = await workspaces
      .start()
      .waitFor(IT, ([now]) => endOf(now?.metadata.uid === uid ? now : undefined, part), { signal });
    isOver = true;
    over.resolve();
    await Promise.all(followers);
    signal.throwIfAborted();
    note(why);
  } finally {
    stop.abort();
    await Promise.all([pods.stop(), workspaces.stop(), ...followers]);
  }
}

/** Why nothing more is to come, once that is so. */
export function endOf(workspace: Workspace | undefined, part: Part | undefined): string | undefined {
  if (workspace === undefined) return 'the Workspace is gone';
  const { metadata, tuning, status } = workspace;
  // A server is followed through whatever happens to it; a status of an older generation says nothing of what is asked for now.
  if (tuning === undefined || status?.observedGeneration !== metadata.generation) return undefined;
  switch (status.step?.name) {
    case 'Succeeded':
      return 'the tuning has succeeded';
    case 'Failed':
      return `the tuning has failed: ${status.step.message ?? 'no reason is told'}`;
    case 'Cancelled':
      return 'the tuning was cancelled';
    case 'Push':
      return part === 'training' ? 'the training has ended; its adapter is being pushed' : undefined;
    default:
      return undefined;
  }
}
