import { styleText } from 'node:util';

import { ANNOTATION_RETRY } from '../../api/labels';
import type { StepName, Workspace, WorkspaceStatus } from '../../api/workspace';

/** What is shown of a step. */
interface Shown {
  readonly step: StepName;
  readonly attempt: number;
  readonly message: string;
}

/** The steps to Ready, in order. */
const WAY: readonly StepName[] = ['Plan', 'Machines', 'Workload', 'Serving', 'Ready'];

const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 100;
const CLEAR_LINE = '\r\u001b[2K';

/** Seconds for people: `0.4 s`. */
export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

/** True when the status tells about the Workspace as it is: this generation, and the retry that was asked for last. */
export function isJudged({ metadata, status }: Workspace): boolean {
  const retry = metadata.annotations?.[ANNOTATION_RETRY];
  return status?.observedGeneration === metadata.generation && (retry === undefined || status.observedRetry === retry);
}

/**
 * Shows a Workspace's way through its steps: which step, which attempt, for how long, and what it waits for. On a terminal the running step is
 * one line that changes; elsewhere each change is a line of its own.
 */
export class Progress {
  readonly #out: NodeJS.WriteStream;
  readonly #startedAt = Date.now();
  readonly #timer: NodeJS.Timeout | undefined;
  #running: Shown | undefined;
  #stepStartedAt = Date.now();
  #status: WorkspaceStatus | undefined;
  #frame = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    if (out.isTTY) this.#timer = setInterval(() => this.#draw(), FRAME_MS);
  }

  /** Shows what changed since the last call. */
  show(workspace: Workspace): void {
    const next = isJudged(workspace) ? shownOf(workspace.status) : TO_BE_PLANNED;
    const before = this.#running;
    if (before?.step !== next.step) {
      if (before !== undefined) {
        this.#finish(before, workspace.status);
        this.#passOver(before.step, next.step, workspace.status);
      }
      this.#stepStartedAt = Date.now();
    } else if (before.attempt === next.attempt && before.message === next.message) return;
    this.#running = next;
    this.#status = workspace.status;
    if (this.#out.isTTY) this.#draw();
    // The last step has nothing to wait for: its end is all there is to tell.
    else if (next.step !== 'Ready' && next.step !== 'Succeeded')
      this.#out.write(`  … ${line(next, this.#elapsed(), told(next))}\n`);
  }

  /** Ends the display; the step that runs stays as done or as failed. */
  end(outcome: 'done' | 'failed'): void {
    clearInterval(this.#timer);
    const running = this.#running;
    if (running === undefined) return;
    if (outcome === 'done') {
      this.#stepStartedAt = this.#startedAt; // the time until Ready is the whole
      this.#finish(running, this.#status);
    } else this.#end(styleText('red', '✗', { stream: this.#out }), running, told(running));
  }

  #finish(shown: Shown, status: WorkspaceStatus | undefined): void {
    this.#end(styleText('green', '✔', { stream: this.#out }), shown, resultOf(shown.step, status));
  }

  /** A step without anything to wait for is over before the status tells of it. */
  #passOver(from: StepName, to: StepName, status: WorkspaceStatus | undefined): void {
    const [first, end] = [WAY.indexOf(from) + 1, WAY.indexOf(to)];
    if (first === 0) return;
    const mark = styleText('green', '✔', { stream: this.#out });
    for (const step of WAY.slice(first, Math.max(first, end))) {
      this.#out.write(`  ${mark} ${step.padEnd(9)} ${' '.repeat(7)}  ${resultOf(step, status)}\n`);
    }
  }

  #end(mark: string, shown: Shown, text: string): void {
    this.#running = undefined;
    this.#out.write(`${this.#out.isTTY ? CLEAR_LINE : ''}  ${mark} ${line(shown, this.#elapsed(), text)}\n`);
  }

  #draw(): void {
    if (this.#running === undefined) return;
    this.#frame += 1;
    const mark = styleText('cyan', SPINNER[this.#frame % SPINNER.length] ?? '', { stream: this.#out });
    const text = line(this.#running, this.#elapsed(), told(this.#running));
    const room = Math.max(this.#out.columns - '  ⠋ '.length - 1, 20);
    this.#out.write(`${CLEAR_LINE}  ${mark} ${text.length > room ? `${text.slice(0, room - 1)}…` : text}`);
  }

  #elapsed(): number {
    return Date.now() - this.#stepStartedAt;
  }
}

function line({ step }: Shown, elapsedMs: number, text: string): string {
  return `${step.padEnd(9)} ${seconds(elapsedMs).padStart(7)}  ${text}`;
}

function told({ attempt, message }: Shown): string {
  return `attempt ${attempt}: ${message}`;
}

const TO_BE_PLANNED: Shown = { step: 'Plan', attempt: 1, message: 'waiting for the bridge to start its workflow' };

function shownOf(status: WorkspaceStatus | undefined): Shown {
  const step = status?.step;
  if (step === undefined) return TO_BE_PLANNED;
  const cause = step.cause === undefined ? '' : `${step.cause}: `;
  const next = step.nextTryTime === undefined ? '' : `; next try at ${new Date(step.nextTryTime).toLocaleTimeString()}`;
  const machine = step.name === 'Machines' ? status?.machines?.find(({ phase }) => phase !== 'Ready') : undefined;
  const waiting = machine === undefined ? '' : `; ${machine.name}: ${machine.message ?? machine.phase}`;
  return { step: step.name, attempt: step.attempt ?? 1, message: `${cause}${step.message ?? ''}${waiting}${next}` };
}

/** What came of a step that is over. */
function resultOf(step: StepName, status: WorkspaceStatus | undefined): string {
  switch (step) {
    case 'Plan':
      return status?.conditions?.find(({ type }) => type === 'Planned')?.message ?? '';
    case 'Machines':
      return (status?.machines ?? [])
        .map(({ name, nodeName, provider }) => {
          if (provider === 'own-nodes') return `own node ${name}`;
          return provider === 'azure' ? `node ${name}` : `NodeClaim ${name} is node ${nodeName ?? '?'}`;
        })
        .join(', ');
    case 'Workload':
      return `StatefulSet ${status?.workload?.name ?? ''} and its Services applied`;
    case 'Serving':
      return `every replica of StatefulSet ${status?.workload?.name ?? ''} passes its readiness probe`;
    case 'Ready':
    case 'Data':
    case 'Training':
    case 'Push':
    case 'Succeeded':
    case 'Release':
    case 'Failed':
    case 'Cancelled':
      return status?.message ?? '';
  }
}
