/**
 * What the workflow remembers of its Workspace, and what people see of it in Temporal: search attributes and current details.
 */
import { setCurrentDetails, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { defineSearchAttributeKey } from '@temporalio/common';
import type { Failure } from '../api/causes';
import {
  NOTHING_LOGGED,
  withGeneration,
  withMachines,
  withoutMachines,
  withPrice,
  withStep,
  type GenerationChange,
  type LifeLog,
} from '../api/history';
import type { Attempt, Candidate, ReleaseInput, StepInput, StepName, WorkspaceRef } from '../api/workflow';
import type { WorkspaceStatus } from '../api/workspace';
import type { DesiredState } from './desired-state';

/** Survives continue-as-new. */
export interface Carried {
  readonly uid?: string;
  readonly attempts: readonly Attempt[];
  readonly phase: string;
  readonly status?: WorkspaceStatus;
  readonly generation?: number;
  readonly log?: LifeLog;
}

export interface WorkspaceRecord {
  readonly step: StepName;
  /** The status as last written by a step; undefined before the first. */
  readonly status: WorkspaceStatus | undefined;
  /** Of the next step. */
  readonly heartbeatTimeoutMs: number;
  /** Whether it is the record of this life; one that is of none yet becomes its. */
  isOf(uid: string): boolean;
  input(): StepInput;
  enter(step: StepName): void;
  /** What is worked on now, and who brought it about. */
  planned(generation: number, change: GenerationChange | undefined): void;
  /** Machines that were asked for since `fromMs` are usable. */
  acquired(candidate: Candidate, fromMs: number): void;
  /** What was bought is let go. */
  released(): void;
  /** For the release to keep; undefined of a life that was never seen. */
  life(): ReleaseInput['life'];
  fail(failure: Failure): void;
  tell(status: WorkspaceStatus | undefined): void;
  /** The failed attempts so far, as the machines step counted them. */
  tried(attempts: readonly Attempt[]): void;
  carry(): Carried;
  /** The next Workspace of this name starts with a clean record. */
  forget(): void;
}

const phaseKey = defineSearchAttributeKey('KaitoPhase', 'KEYWORD');
const causeKey = defineSearchAttributeKey('KaitoCause', 'KEYWORD');
const instanceTypeKey = defineSearchAttributeKey('KaitoInstanceType', 'KEYWORD');

export function createRecord(
  ref: WorkspaceRef,
  desired: Pick<DesiredState, 'heartbeatTimeoutMs'>,
  carried?: Carried,
): WorkspaceRecord {
  let step: StepName = 'Plan';
  let lifeUid = carried?.uid;
  let attempts: readonly Attempt[] = carried?.attempts ?? [];
  let status = carried?.status;
  let phase = carried?.phase ?? 'Pending';
  let cause: string | null = null;
  let instanceType = status?.instanceType;
  let log = carried?.log ?? NOTHING_LOGGED;
  let generation = carried?.generation ?? 0;
  let stepSinceMs: number | undefined;
  const { workflowId, runId, firstExecutionRunId } = workflowInfo();

  function timeStep(): void {
    const nowMs = Date.now();
    if (stepSinceMs !== undefined) log = withStep(log, { generation, step, fromMs: stepSinceMs, toMs: nowMs });
    stepSinceMs = nowMs;
  }

  // One event per change of phase, not per step: lists and alerts need no more.
  function setPhase(nextPhase: string, nextCause: string | null = null): void {
    if (nextPhase === phase && nextCause === cause) return;
    phase = nextPhase;
    cause = nextCause;
    upsertSearchAttributes([
      { key: phaseKey, value: phase },
      { key: causeKey, value: cause },
      ...(status?.instanceType === undefined || status.instanceType === instanceType
        ? []
        : [{ key: instanceTypeKey, value: status.instanceType }]),
    ]);
    instanceType = status?.instanceType;
  }

  return {
    get step() {
      return step;
    },
    get status() {
      return status;
    },
    get heartbeatTimeoutMs() {
      return desired.heartbeatTimeoutMs;
    },
    isOf(uid) {
      lifeUid ??= uid;
      return lifeUid === uid;
    },
    input: () => ({
      ref,
      facts: { attempts, workflow: { id: workflowId, runID: runId } },
    }),
    enter(next) {
      timeStep();
      if (next === 'Release' || next === 'Cancelled') log = { ...log, last: step };
      step = next;
      if ((next === 'Machines' || next === 'Data') && phase === 'Failed') {
        setPhase('Pending');
      } else if (next === 'Training' || next === 'Push') {
        setPhase('Running');
      } else if (next === 'Ready' || next === 'Succeeded') {
        setPhase(next);
      } else if (next === 'Release') {
        setPhase('Deleting');
      } else if (next === 'Cancelled') {
        setPhase('Cancelled');
      }
    },
    fail(failure) {
      timeStep();
      step = 'Failed';
      setPhase('Failed', failure.cause);
    },
    tell(next) {
      if (next === undefined) return;
      status = next;
      log = withPrice(log, next.instanceType, next.pricePerHour);
      setCurrentDetails(detailsOf(next));
    },
    planned(next, change) {
      generation = next;
      if (change !== undefined) log = withGeneration(log, change);
    },
    acquired({ provider, instanceType, nodeCount }, fromMs) {
      if (provider === 'own-nodes') return;
      log = withMachines(log, { instanceType, count: nodeCount, fromMs });
      log = withPrice(log, status?.instanceType, status?.pricePerHour);
    },
    released() {
      log = withoutMachines(log, Date.now());
    },
    life() {
      return lifeUid === undefined ? undefined : { uid: lifeUid, log: { ...log, run: firstExecutionRunId } };
    },
    tried(all) {
      attempts = all;
    },
    carry: () => ({
      attempts,
      phase,
      generation,
      log: stepSinceMs === undefined ? log : withStep(log, { generation, step, fromMs: stepSinceMs, toMs: Date.now() }),
      ...(lifeUid !== undefined && { uid: lifeUid }),
      ...(status !== undefined && { status }),
    }),
    forget() {
      lifeUid = undefined;
      attempts = [];
      status = undefined;
      log = NOTHING_LOGGED;
      stepSinceMs = undefined;
      setPhase('Pending');
    },
  };
}

/** Markdown for the Temporal UI. */
function detailsOf(status: WorkspaceStatus): string {
  const lines = [`**${status.state ?? 'Pending'}** ${status.message ?? ''}`];
  for (const condition of status.conditions ?? []) {
    lines.push(`- ${condition.type}: ${condition.status} (${condition.reason}) ${condition.message}`);
  }
  for (const attempt of status.attempts ?? []) {
    lines.push(`- tried ${attempt.instanceType ?? attempt.step}: ${attempt.cause}: ${attempt.message}`);
  }
  return lines.join('\n');
}
