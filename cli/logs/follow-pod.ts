import { setTimeout as delay } from 'node:timers/promises';
import { backoffMs, type Backoff } from '../../kubernetes/backoff';
import type { Cache } from '../../kubernetes/cache';
import { KubernetesError } from '../../kubernetes/errors';
import type { Pod } from '../../kubernetes/objects';
import type { ClusterAccess } from '../cluster';
import { CliError, toldOf } from '../failure';
import { linesOf } from './lines';
import { extentOf, openLog, type LogFlags } from './request';
import { containerOf } from './targets';

/** What followers of pods share. */
export interface Following {
  readonly cluster: Pick<ClusterAccess, 'stream'>;
  /** Indexed by UID. */
  readonly pods: Cache<Pod>;
  readonly print: (pod: string, line: string) => void;
  readonly note: (text: string) => void;
  /** Resolves when nothing new is to be expected; what is being written is still printed. */
  readonly over: Promise<void>;
  readonly isOver: () => boolean;
  readonly signal: AbortSignal;
}

/** One run of a container. */
interface Run {
  readonly pod: Pod;
  readonly container: string;
  readonly key: string;
  readonly isRunning: boolean;
}

/** A log that ended or broke while its container runs is opened again. */
const REOPEN: Backoff = { initialMs: 500, maxMs: 10_000 };
/** For the rest of a log whose pod is gone: a kubelet that went with it never ends the stream. */
const REST_MS = 5_000;
const GONE = 'gone';
const TIMED = /^(\d{4}-\d\d-\d\dT\S+(?:Z|[+-]\d\d:\d\d)) ?/;

/**
 * Prints what a pod's containers write, run after run, until the pod is gone: its init containers in their order, however short they were, then the
 * first container; or the one container that was asked for. A line is printed once, whatever happens to connections: lines are asked for with their
 * times, and a log that is opened again begins after the last one. `flags` limit what the first run had written before.
 *
 * `known` is the pod as it was when the user asked, if it was there: init containers that had ended by then are not printed.
 */
export async function followPod(following: Following, uid: string, flags: LogFlags, known?: Pod): Promise<void> {
  const { pods, note, over, isOver, signal } = following;
  const passed = known === undefined || flags.container !== undefined ? [] : passedBy(known);
  const read = new Set(passed.map(({ key }) => key));
  const reader = createReader(following, flags, cutAfter(following, uid));
  let before: Run | undefined;
  let failures = 0;
  for (;;) {
    const find = ([pod]: readonly Pod[]) => (pod === undefined ? GONE : unread(pod, flags.container, read));
    const now = find(pods.byIndex(uid));
    const next = now ?? (isOver() ? undefined : await Promise.race([pods.waitFor(uid, find, { signal }), over]));
    if (next === undefined || next === GONE) return;
    if (before !== undefined && before.key !== next.key) {
      const what = next.isRunning ? 'has started' : 'has already ended';
      note(`container ${next.container} of pod ${next.pod.metadata.name} ${what}`);
      failures = 0;
    }
    before = next;

    const hasRead = await reader(next);
    if (hasRead && !next.isRunning) {
      read.add(next.key);
      continue;
    }
    failures += 1;
    const patience = delay(backoffMs(REOPEN, failures), false, { signal });
    const ended =
      hasRead && (await Promise.race([pods.waitFor(uid, (found) => isOverFor(next, found), { signal }), patience]));
    // Read to its end. Else the connection ended, or the cache is behind: opened again, it begins after the last line.
    if (ended) read.add(next.key);
    else await patience;
  }
}

/** True once a run is over. */
function isOverFor({ key, container }: Run, [pod]: readonly Pod[]): true | undefined {
  const now = pod && runOf(pod, container);
  return now?.key === key && now.isRunning ? undefined : true;
}

/** Ends a stream that outlives its pod. */
function cutAfter({ pods, signal }: Following, uid: string): AbortSignal {
  const cut = new AbortController();
  void pods
    .waitFor(uid, (found) => (found.length === 0 ? true : undefined), { signal })
    .then(() => delay(REST_MS, undefined, { signal }))
    .then(
      () => cut.abort(),
      // All following ended before: so did the stream.
      () => undefined,
    );
  return cut.signal;
}

/** Reads the log of a run and prints what was not printed; false if it broke. */
function createReader(
  { cluster, print, note, signal }: Following,
  flags: LogFlags,
  cut: AbortSignal,
): (run: Run) => Promise<boolean> {
  let first: string | undefined;
  let lastTime: string | undefined;
  let hasTold = false;
  return async ({ pod, container, key, isRunning }) => {
    const from = lastTime;
    first ??= key;
    const extent = from !== undefined ? { sinceTime: wholeSecond(from) } : key === first ? extentOf(flags) : {};
    const parameters = { container, follow: 'true', timestamps: 'true', ...extent };
    let isOld = false;
    try {
      for await (const line of linesOf(await openLog(cluster, pod, parameters, AbortSignal.any([signal, cut])))) {
        const [prefix = '', time] = TIMED.exec(line) ?? [];
        if (time !== undefined) {
          // Times of one kubelet are of one length.
          isOld = from !== undefined && time <= from;
          if (!isOld) lastTime = time;
        }
        if (!isOld) print(pod.metadata.name, flags.timestamps === true ? line : line.slice(prefix.length));
        hasTold = false;
      }
      return true;
    } catch (error) {
      signal.throwIfAborted();
      if (cut.aborted) return true;
      const code = error instanceof KubernetesError ? error.code : 0;
      if (code === 401 || code === 403) throw error;
      // Logs of what has ended are taken away in time.
      const isLost = !isRunning && (code === 400 || code === 404);
      if (!hasTold) {
        const next = isLost ? 'cannot be read any more' : 'broke off and is tried again';
        note(`the log of pod ${pod.metadata.name} ${next}: ${toldOf(error).message}`);
      }
      hasTold = true;
      return isLost;
    }
  };
}

/** The API server knows whole seconds: what was printed of that second comes again, and is left out. */
function wholeSecond(time: string): string {
  return new Date(Math.floor(Date.parse(time) / 1_000) * 1_000).toISOString();
}

function unread(pod: Pod, wanted: string | undefined, read: ReadonlySet<string>): Run | undefined {
  const { name } = pod.metadata;
  const { containers, initContainers = [] } = pod.spec;
  const names = [...initContainers, ...containers].map((container) => container.name);
  if (wanted !== undefined && !names.includes(wanted)) {
    throw new CliError({
      exit: 'notFound',
      message: `-c ${wanted}: the containers of pod ${name} are ${names.join(', ')}`,
    });
  }
  const runs = wanted === undefined ? [...endedInits(pod), runOf(pod, containerOf(pod))] : [runOf(pod, wanted)];
  return runs.find((run) => run !== undefined && !read.has(run.key));
}

/** The last runs of init containers that have ended, in their order: one may have come and gone between two looks at the pod. */
function endedInits(pod: Pod): readonly Run[] {
  const runs = (pod.spec.initContainers ?? []).map(({ name }) => runOf(pod, name));
  return runs.filter((run): run is Run => run !== undefined && !run.isRunning);
}

/** Those of them that are not what is worth reading of the pod. */
function passedBy(pod: Pod): readonly Run[] {
  const worthReading = containerOf(pod);
  return endedInits(pod).filter(({ container }) => container !== worthReading);
}

/** The last run of a container that has something to read. */
function runOf(pod: Pod, container: string): Run | undefined {
  const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
  const status = [...initContainerStatuses, ...containerStatuses].find(({ name }) => name === container);
  if (status === undefined) return undefined;
  const { state, lastState, restartCount } = status;
  const isRunning = state?.running !== undefined;
  // What waits for its next start has the log of its last.
  if (!isRunning && state?.terminated === undefined && lastState?.terminated === undefined) return undefined;
  return { pod, container, key: `${container}/${restartCount}`, isRunning };
}
