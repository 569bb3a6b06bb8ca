/**
 * What the workflow remembers of its Workspace, and what people see of it in Temporal: search attributes and current details.
 */
import { setCurrentDetails, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { defineSearchAttributeKey } from '@temporalio/common';
import type { Failure } from '../api/causes';
import type { Attempt, StepInput, StepName, WorkspaceRef } from '../api/workflow';
import type { WorkspaceStatus } from '../api/workspace';

/** Survives continue-as-new. */
export interface Carried {
  readonly uid?: string;
  readonly attempts: readonly Attempt[];
  readonly phase: string;
  readonly status?: WorkspaceStatus;
}

export interface WorkspaceRecord {
  readonly step: StepName;
  /** The status as last written by a step; undefined before the first. */
  readonly status: WorkspaceStatus | undefined;
  /** Whether it is the record of this life; one that is of none yet becomes its. */
  isOf(uid: string): boolean;
  input(): StepInput;
  enter(step: StepName): void;
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

export function createRecord(ref: WorkspaceRef, carried?: Carried): WorkspaceRecord {
  let step: StepName = 'Plan';
  let lifeUid = carried?.uid;
  let attempts: readonly Attempt[] = carried?.attempts ?? [];
  let status = carried?.status;
  let phase = carried?.phase ?? 'Pending';
  let cause: string | null = null;
  let instanceType = status?.instanceType;
  const { workflowId, runId } = workflowInfo();

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
    isOf(uid) {
      lifeUid ??= uid;
      return lifeUid === uid;
    },
    input: () => ({
      ref,
      facts: { attempts, workflow: { id: workflowId, runID: runId } },
    }),
    enter(next) {
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
      step = 'Failed';
      setPhase('Failed', failure.cause);
    },
    tell(next) {
      if (next === undefined) return;
      status = next;
      setCurrentDetails(detailsOf(next));
    },
    tried(all) {
      attempts = all;
    },
    carry: () => ({
      attempts,
      phase,
      ...(lifeUid !== undefined && { uid: lifeUid }),
      ...(status !== undefined && { status }),
    }),
    forget() {
      lifeUid = undefined;
      attempts = [];
      status = undefined;
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
