/**
 * What failed, and until when it is not tried again: the second Workspace learns from the first one's attempts.
 */
import type { Failure } from '../../api/causes';
import { LESSONS, type Lesson, type Outcome, type PoolCandidate } from '../../api/coordination';

export interface Remembered {
  /** What is avoided. */
  readonly key: string;
  /** Only pools of so many vCPUs or more. */
  readonly fromVcpus?: number;
  readonly failure: Failure;
  readonly sinceMs: number;
  readonly untilMs: number;
}

export type Memory = readonly Remembered[];

/** Far more than there are sizes, zones and families in use; those that end soonest make room. */
const MOST_REMEMBERED = 500;

/** It travels with every answer, and into every run. */
const MOST_TEXT = 512;

const ANYWHERE = '*';

/** The memory with what an outcome teaches. */
export function learned(memory: Memory, outcome: Outcome, nowMs: number): Memory {
  const { candidate } = outcome;
  if (outcome.kind === 'succeeded') {
    const refuted = new Set(whatConcerns(memory, candidate));
    return memory.filter((one) => !refuted.has(one));
  }

  const { lesson, failure } = outcome;
  const key = keyOf(lesson, candidate);
  const before = memory.find((one) => one.key === key && one.untilMs > nowMs);
  const fromVcpus = Math.min(fromVcpusOf(lesson, candidate), before === undefined ? Infinity : (before.fromVcpus ?? 0));
  const { onDemandMs, spotMs } = LESSONS[lesson];
  const ttlMs = outcome.ttlMs ?? (candidate.priority === 'spot' ? spotMs : onDemandMs);
  const next: Remembered = {
    key,
    ...(fromVcpus > 0 && { fromVcpus }),
    failure: shortened(failure),
    sinceMs: nowMs,
    untilMs: Math.max(nowMs + ttlMs, before?.untilMs ?? 0),
  };
  return [...memory.filter((one) => one.key !== key), next]
    .sort((a, b) => b.untilMs - a.untilMs)
    .slice(0, MOST_REMEMBERED);
}

/** Why a candidate is not to be tried now; of several reasons the one that lasts longest. */
export function reasonAgainst(memory: Memory, candidate: PoolCandidate, nowMs: number): Remembered | undefined {
  let reason: Remembered | undefined;
  for (const one of whatConcerns(memory, candidate)) {
    if (one.untilMs > (reason?.untilMs ?? nowMs)) reason = one;
  }
  return reason;
}

/** The memory without what has passed. */
export function current(memory: Memory, nowMs: number): Memory {
  return memory.some(({ untilMs }) => untilMs <= nowMs) ? memory.filter(({ untilMs }) => untilMs > nowMs) : memory;
}

/** The memory without one key, or empty. */
export function forgotten(memory: Memory, key: string | undefined): Memory {
  return key === undefined ? [] : memory.filter((one) => one.key !== key);
}

function whatConcerns(memory: Memory, candidate: PoolCandidate): Memory {
  if (memory.length === 0) return memory;
  const keys = new Set(keysOf(candidate));
  return memory.filter(({ key, fromVcpus = 0 }) => keys.has(key) && candidate.vcpus >= fromVcpus);
}

/** Everything that could stand against a candidate. */
function keysOf(candidate: PoolCandidate): readonly string[] {
  const { zone: _zone, ...anywhere } = candidate;
  return [
    keyOf('quota-low', candidate),
    keyOf('quota-region', candidate),
    ...(candidate.priority === 'spot' ? [keyOf('quota-spot', candidate)] : []),
    keyOf('allocation', candidate),
    keyOf('size-unavailable', candidate),
    keyOf('size-unavailable', anywhere),
  ];
}

function keyOf(lesson: Lesson, { family, instanceType, zone = ANYWHERE, priority, variant }: PoolCandidate): string {
  switch (lesson) {
    case 'quota-low':
    case 'quota-zero':
      return `quota/${family}/${priority}`;
    case 'quota-region':
      return `quota/region/${priority}`;
    case 'quota-spot':
      return 'quota/spot';
    case 'allocation':
      return ['allocation', instanceType, zone, priority, ...(variant === undefined ? [] : [variant])].join('/');
    case 'size-unavailable':
      return `size/${instanceType}/${zone}/${priority}`;
  }
}

/** A smaller pool may still fit what is left of a quota. */
function fromVcpusOf(lesson: Lesson, { vcpus }: PoolCandidate): number {
  return lesson === 'quota-low' || lesson === 'quota-region' ? vcpus : 0;
}

function shortened({ cause, message, remedy }: Failure): Failure {
  return {
    cause,
    message: message.slice(0, MOST_TEXT),
    ...(remedy !== undefined && { remedy: remedy.slice(0, MOST_TEXT) }),
  };
}
