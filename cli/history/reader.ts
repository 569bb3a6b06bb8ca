import type { temporal } from '@temporalio/proto';
import type { Failure } from '../../api/causes';
import type { GenerationChange } from '../../api/history';
import { STEP_OF, type Look, type LookReason, type StepFailure } from '../../api/workflow';
import type { Entry, LifeEntry } from './entry';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;
type ProtoFailure = temporal.api.failure.v1.IFailure;
type Payloads = temporal.api.common.v1.IPayloads;

/** Decodes what the product put into the history; with the codec of the connection, if it has one. */
export interface Decode {
  payloads(payloads: Payloads | null | undefined): Promise<readonly unknown[]>;
}

/** For people, letting the machines of a training go is a release, whatever step the status is in meanwhile. */
const STEPS: Readonly<Record<string, string>> = { ...STEP_OF, releaseTrainingMachines: 'Release' };

const REASONS: Readonly<Record<LookReason, string>> = {
  generation: 'the spec changed',
  deleted: 'deletion was asked for',
  retry: 'retry was asked for by annotation',
  objects: 'what exists differs from what the status says',
  references: 'a referenced object changed',
  resync: 'comparison of Workspaces and workflows',
  gone: 'the Workspace is no longer there',
};

/** How a step ended that is neither a failure nor plainly done. */
const OUTCOMES: Readonly<Record<string, string>> = {
  superseded: 'gave way to a newer request',
  unavailable: 'could not be had',
  deleting: 'found it to be deleted',
  gone: 'found no Workspace',
  lost: 'lost what it waited for',
};

/** The entries of one run, in the order in which they began. */
export async function readRun(events: readonly HistoryEvent[], decode: Decode): Promise<readonly LifeEntry[]> {
  const reader = new Reader(decode);
  for (const event of events) await reader.read(event);
  return reader.entries;
}

/** An activity from its scheduling on; replaced by what becomes of it. */
interface Open {
  readonly index: number;
  readonly entry: LifeEntry;
  readonly scheduledMs: number;
  attempts: number;
}

class Reader {
  readonly entries: LifeEntry[] = [];
  readonly #decode: Decode;
  readonly #open = new Map<string, Open>();
  readonly #timers = new Map<string, number>();
  #uid: string | undefined;
  #lastStep = '';
  /** Generations whose change was told, by life. */
  readonly #changes = new Set<string>();

  constructor(decode: Decode) {
    this.#decode = decode;
  }

  async read(event: HistoryEvent): Promise<void> {
    const time = timeOf(event);
    const started = event.workflowExecutionStartedEventAttributes;
    if (started) {
      const [, carried] = await this.#decode.payloads(started.input);
      this.#uid = (carried as { uid?: string } | undefined)?.uid;
      return;
    }
    await this.#readRequest(event, time);
    await this.#readStep(event, time);
    await this.#readState(event, time);
    this.#readEnd(event, time);
  }

  async #readRequest(event: HistoryEvent, time: string): Promise<void> {
    const signal = event.workflowExecutionSignaledEventAttributes;
    if (signal) {
      const by = signal.identity;
      if (signal.signalName !== 'look') {
        this.#add({ time, kind: 'asked', what: `${signal.signalName ?? 'signal'} was asked for`, ...byOf(by) });
        return;
      }
      const [look] = (await this.#decode.payloads(signal.input)) as readonly [Look?];
      if (look === undefined) return;
      // What comes late of a former life is no beginning of another one.
      this.#uid ??= look.uid;
      // Proof of life that nobody acted on.
      if (look.reason === 'resync' && look.uid === this.#uid) return;
      this.#add({ time, kind: 'asked', what: reasonOf(look) });
      return;
    }
    const cancel = event.workflowExecutionCancelRequestedEventAttributes;
    if (cancel) {
      const why = cancel.cause ? `: ${cancel.cause}` : '';
      this.#add({ time, kind: 'asked', what: `cancellation was asked for${why}`, ...byOf(cancel.identity) });
    }
  }

  async #readStep(event: HistoryEvent, time: string): Promise<void> {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled) {
      const type = scheduled.activityType?.name ?? 'activity';
      this.#lastStep = type;
      const summary = event.userMetadata?.summary;
      const [said] = summary ? await this.#decode.payloads({ payloads: [summary] }) : [];
      const entry: LifeEntry = {
        time,
        kind: 'step',
        step: STEPS[type] ?? type,
        what: typeof said === 'string' ? said : type,
        isUnderWay: true,
        uid: this.#uid,
      };
      this.#open.set(String(event.eventId), {
        index: this.entries.length,
        entry,
        scheduledMs: Date.parse(time),
        attempts: 1,
      });
      this.entries.push(entry);
      return;
    }
    const { activityTaskStartedEventAttributes: begun } = event;
    if (begun) {
      const open = this.#open.get(String(begun.scheduledEventId));
      if (open !== undefined) open.attempts = begun.attempt ?? 1;
      return;
    }
    const ended = endedActivity(event);
    if (ended !== undefined) await this.#endStep(ended, time);
  }

  async #endStep({ scheduledEventId, result, failure, what }: EndedActivity, time: string): Promise<void> {
    const open = this.#open.get(scheduledEventId);
    if (open === undefined) return;
    this.#open.delete(scheduledEventId);
    const [outcome] = (result ? await this.#decode.payloads(result) : []) as readonly [Outcome?];
    // The plan says whom it is about: a Workspace that was made anew under the name begins here.
    const uid = outcome?.plan?.uid ?? outcome?.uid;
    if (uid !== undefined) this.#uid = uid;
    const { isUnderWay: _, ...entry } = open.entry;
    const change = this.#newChange(outcome?.change);
    const how = what ?? (outcome?.kind === undefined ? undefined : OUTCOMES[outcome.kind]);
    const lost = outcome?.kind === 'unavailable' ? outcome.attempts?.at(-1) : undefined;
    this.entries[open.index] = {
      ...entry,
      uid: this.#uid,
      what: how === undefined ? entry.what : `${entry.what}: ${how}`,
      durationMs: Date.parse(time) - open.scheduledMs,
      ...(open.attempts > 1 && { attempts: open.attempts }),
      ...(change && { change }),
      ...(failure && { failure: await readFailure(failure, this.#decode) }),
      ...(lost && {
        failure: { cause: lost.cause, message: lost.message, ...(lost.remedy && { remedy: lost.remedy }) },
      }),
    };
  }

  #newChange(change: GenerationChange | undefined): GenerationChange | undefined {
    if (change === undefined) return undefined;
    const key = `${this.#uid ?? ''}/${change.generation}`;
    if (this.#changes.has(key)) return undefined;
    this.#changes.add(key);
    return change;
  }

  async #readState(event: HistoryEvent, time: string): Promise<void> {
    const fields = event.upsertWorkflowSearchAttributesEventAttributes?.searchAttributes?.indexedFields;
    if (fields) {
      const phase = fields['KaitoPhase'];
      const [value] = phase ? await this.#decode.payloads({ payloads: [phase] }) : [];
      const [name] = Array.isArray(value) ? (value as unknown[]) : [value];
      if (typeof name === 'string') this.#add({ time, kind: 'state', what: name });
      return;
    }
    const timer = event.timerStartedEventAttributes;
    // Other timers are limits of steps.
    if (timer && this.#lastStep === 'reportPause') {
      const seconds = Number(timer.startToFireTimeout?.seconds ?? 0);
      this.#timers.set(String(event.eventId), this.entries.length);
      this.#add({ time, kind: 'pause', what: `waits up to ${seconds} s before the next try`, isUnderWay: true });
      return;
    }
    const over = event.timerFiredEventAttributes ?? event.timerCanceledEventAttributes;
    if (over) {
      const index = this.#timers.get(String(over.startedEventId));
      const entry = index === undefined ? undefined : this.entries[index];
      if (index === undefined || entry === undefined) return;
      const { isUnderWay: _, ...rest } = entry;
      this.entries[index] = { ...rest, durationMs: Date.parse(time) - Date.parse(entry.time) };
    }
  }

  #readEnd(event: HistoryEvent, time: string): void {
    const end = (what: string, by?: string | null): void => this.#add({ time, kind: 'end', what, ...byOf(by) });
    if (event.workflowExecutionCompletedEventAttributes) end('deleted: nothing is left');
    if (event.workflowExecutionCanceledEventAttributes) end('cancelled: what was bought is released');
    if (event.workflowExecutionTimedOutEventAttributes) end('the workflow timed out');
    const terminated = event.workflowExecutionTerminatedEventAttributes;
    if (terminated) {
      end(`the workflow was terminated${terminated.reason ? `: ${terminated.reason}` : ''}`, terminated.identity);
    }
    const failed = event.workflowExecutionFailedEventAttributes;
    if (failed) end(`the workflow failed: ${failed.failure?.message ?? 'without a message'}`);
  }

  #add(entry: Entry): void {
    this.entries.push({ ...entry, uid: this.#uid });
  }
}

/** A failure in the product's own terms, where it has them. */
export async function readFailure(failure: ProtoFailure, decode: Decode): Promise<NonNullable<Entry['failure']>> {
  const info = failure.applicationFailureInfo;
  const [details] = (info?.details ? await decode.payloads(info.details) : []) as readonly [Partial<StepFailure>?];
  const told: Failure | undefined = details?.failure;
  if (told !== undefined) {
    return { cause: told.cause, message: told.message, ...(told.remedy !== undefined && { remedy: told.remedy }) };
  }
  return { cause: info?.type ?? 'Internal', message: failure.message ?? 'without a message' };
}

interface Outcome {
  readonly kind?: string;
  readonly uid?: string;
  readonly plan?: { readonly uid?: string };
  readonly change?: GenerationChange;
  readonly attempts?: readonly { readonly cause: string; readonly message: string; readonly remedy?: string }[];
}

interface EndedActivity {
  readonly scheduledEventId: string;
  readonly result?: Payloads | null | undefined;
  readonly failure?: ProtoFailure | null | undefined;
  readonly what?: string;
}

function endedActivity(event: HistoryEvent): EndedActivity | undefined {
  const completed = event.activityTaskCompletedEventAttributes;
  if (completed) return { scheduledEventId: String(completed.scheduledEventId), result: completed.result };
  const failed = event.activityTaskFailedEventAttributes;
  if (failed) return { scheduledEventId: String(failed.scheduledEventId), failure: failed.failure };
  const late = event.activityTaskTimedOutEventAttributes;
  if (late) return { scheduledEventId: String(late.scheduledEventId), failure: late.failure };
  const cancelled = event.activityTaskCanceledEventAttributes;
  if (cancelled) return { scheduledEventId: String(cancelled.scheduledEventId), what: 'was told to stop' };
  return undefined;
}

function reasonOf({ reason, generation }: Look): string {
  if (reason === 'generation' && generation === 1) return 'the Workspace was created';
  return `${REASONS[reason] ?? reason} (generation ${generation})`;
}

function timeOf({ eventTime }: HistoryEvent): string {
  const ms = Number(eventTime?.seconds ?? 0) * 1_000 + Math.floor((eventTime?.nanos ?? 0) / 1_000_000);
  return new Date(ms).toISOString();
}

function byOf(identity: string | null | undefined): { readonly by?: string } {
  return identity ? { by: identity } : {};
}
