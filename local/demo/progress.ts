import { styleText } from 'node:util';

import type { StepName, Workspace, WorkspaceStatus } from '../../api/workspace';

/** What a terminal shows of a step. */
interface Shown {
  readonly step: string;
  readonly attempt: number;
  readonly message: string;
  readonly sinceMs: number;
}

const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 100;

/** Seconds for people: `0.4 s`. */
export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

/**
 * Shows a Workspace's way through its steps: which step, which attempt, for how long, and what it waits for. On a terminal the running step is
 * one line that changes, with a spinner; elsewhere each change is a line of its own.
 */
export class Progress {
  readonly #out: NodeJS.WriteStream;
  readonly #startedAt = Date.now();
  #running: Shown | undefined;
  #status: WorkspaceStatus | undefined;
  #timer: NodeJS.Timeout | undefined;
  #frame = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    if (out.isTTY) this.#timer = setInterval(() => this.#draw(), FRAME_MS);
  }

  /** Shows what changed since the last call. */
  show({ metadata, status }: Workspace): void {
    const isJudged = status?.step !== undefined && status.observedGeneration === metadata.generation;
    const next = isJudged ? shownOf(status) : { step: 'Accepted', attempt: 1, message: 'waiting for the bridge to start the workflow' };
    const before = this.#running;
    if (before?.step === next.step && before.attempt === next.attempt && before.message === next.message) return;
    if (before !== undefined && before.step !== next.step) this.#finish(before, status);
    this.#status = status;
    this.#running = { ...next, sinceMs: before?.step === next.step ? before.sinceMs : Date.now() };
    if (this.#out.isTTY) this.#draw();
    else if (next.step !== 'Ready') this.#line('…', this.#running, next.message);
  }

  /** Ends the display; the step that runs stays as it was shown last, as done or as failed. */
  end(outcome: 'done' | 'failed'): void {
    clearInterval(this.#timer);
    const running = this.#running;
    if (running === undefined) return;
    if (outcome === 'done') this.#finish(running, this.#status);
    else this.#line(styleText('red', '✗', { stream: this.#out }), running, running.message);
    this.#running = undefined;
  }

  #finish(shown: Shown, status: WorkspaceStatus | undefined): void {
    this.#line(styleText('green', '✔', { stream: this.#out }), shown, resultOf(shown.step, status), true);
  }

  #draw(): void {
    if (this.#running === undefined) return;
    this.#frame += 1;
    const spinner = SPINNER[this.#frame % SPINNER.length] ?? '';
    this.#write(styleText('cyan', spinner, { stream: this.#out }), this.#running, this.#running.message, false, '');
  }

  #line(mark: string, shown: Shown, message: string, done = false): void {
    this.#write(mark, shown, message, done, '\n');
  }

  #write(mark: string, shown: Shown, message: string, done: boolean, end: string): void {
    const { step, attempt, sinceMs } = shown;
    const elapsed = this.#out.isTTY || done ? Date.now() - sinceMs : Date.now() - this.#startedAt;
    // Alone, the first attempt is the normal case; that it is the first is said while it runs.
    const tries = done && attempt === 1 ? '' : `attempt ${attempt}: `;
    const time = this.#out.isTTY || done ? seconds(elapsed) : `at ${seconds(elapsed)}`;
    const head = `${step.padEnd(9)} ${time.padStart(9)}  `;
    const body = `${head}${tries}${message}`;
    if (!this.#out.isTTY) {
      this.#out.write(`  ${mark} ${body}${end}`);
      return;
    }
    const room = Math.max(this.#out.columns - 5, head.length);
    const cut = end === '' && body.length > room ? `${body.slice(0, room - 1)}…` : body;
    this.#out.write(`\r\u001b[2K  ${mark} ${cut}${end}`);
  }
}

function shownOf(status: WorkspaceStatus): Omit<Shown, 'sinceMs'> {
  const { step } = status;
  const tryAgain = step?.nextTryTime === undefined ? '' : `; next try at ${step.nextTryTime.slice(11, 19)} UTC`;
  const cause = step?.cause === undefined ? '' : `${step.cause}: `;
  return {
    step: step?.name ?? '',
    attempt: step?.attempt ?? 1,
    message: `${cause}${step?.message ?? ''}${tryAgain}`,
  };
}

/** What came of a step that is over. */
function resultOf(step: string, status: WorkspaceStatus | undefined): string {
  const machines = status?.machines ?? [];
  switch (step as StepName | 'Accepted') {
    case 'Accepted':
      return `workflow ${status?.workflow?.id ?? ''} started`;
    case 'Plan':
      return status?.conditions?.find(({ type }) => type === 'Planned')?.message ?? '';
    case 'Machines':
      return machines.map(({ name, nodeName }) => `NodeClaim ${name} is node ${nodeName ?? ''}`).join(', ');
    case 'Workload':
      return `StatefulSet and Services ${status?.workload?.name ?? ''} applied`;
    case 'Serving':
      return 'every replica passes its readiness probe';
    default:
      return status?.message ?? '';
  }
}
