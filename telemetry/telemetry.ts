/**
 * What can be seen of a process from outside: metrics, health, traces and log fields. One object, which the process's parts are made known to as they come
 * up; the layers below know nothing of it, but for the callbacks that they offer.
 */
import type { ClientInterceptors } from '@temporalio/client';
import type { WorkerOptions } from '@temporalio/worker';
import type { Orphan } from '../api/sweep';
import type { LookSample } from '../api/trace';
import type { WorkspaceRef } from '../api/workflow';
import type { WorkspaceStatus } from '../api/workspace';
import type { RequestSample } from '../kubernetes/client';
import type { Logger } from '../kubernetes/logger';
import type { WorkQueueMetrics } from '../kubernetes/work-queue';
import { Health, watchesMoving, watchesUpToDate } from './health';
import { collectWatches, observeRequest, type WatchState } from './kubernetes';
import { observeLook, signalInterceptor, traceSinks } from './looks';
import { addProcessMetrics, createMetrics, type Metrics } from './metrics';
import { Orphans } from './orphans';
import { serveHttp, type HttpServer } from './server';
import { observeStepDuration } from './step-duration';
import { stepInterceptors } from './steps';
import { reserveTemporalMetrics, type TemporalMetrics } from './temporal-metrics';
import { openTracing, type Tracing } from './tracing';
import { collectWorkspaces, type ClusterView } from './workspaces';

export interface TelemetryOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  readonly version: string;
  readonly roles: readonly string[];
  /** How long orphans count that the sweeper told of, milliseconds: a little longer than from one sweep to the next. */
  readonly orphansKeptMs?: number;
}

const ORPHANS_KEPT_MS = 30 * 60_000;

export class Telemetry {
  readonly health = new Health();
  readonly metrics: Metrics;
  readonly #tracing: Tracing;
  readonly #temporal: TemporalMetrics | undefined;
  readonly #logger: Logger;
  readonly #orphans: Orphans;
  readonly #now = Date.now;
  /** Called at each scrape. */
  readonly #collectors: (() => void | Promise<void>)[] = [];
  readonly #watches: (() => readonly WatchState[])[] = [];
  #http: HttpServer | undefined;

  private constructor(options: TelemetryOptions, metrics: Metrics, tracing: Tracing, temporal?: TemporalMetrics) {
    this.metrics = metrics;
    this.#tracing = tracing;
    this.#temporal = temporal;
    this.#logger = options.logger;
    this.#orphans = new Orphans(options.orphansKeptMs ?? ORPHANS_KEPT_MS, this.#now);
    for (const role of options.roles) metrics.buildInfo.set({ version: options.version, role }, 1);
    this.#collectors.push(() => collectWatches(metrics, this.#everyWatch(), this.#now()));
    this.#collectors.push(() => this.#orphans.collect(metrics));
    this.#collectors.push(() => this.#collectHealth());
    this.health.add({ name: 'started', for: ['ready'], problem: () => 'the process is starting' });
  }

  /** For a part of a process: without what belongs to the process as a whole. */
  static open(options: TelemetryOptions): Telemetry {
    const { environment, version, logger } = options;
    return new Telemetry(options, createMetrics(), openTracing(environment, version, logger));
  }

  /** For a whole process: with Node's and Temporal's own metrics. {@link runtimeOptions} are then to be given to Temporal's runtime. */
  static async openForProcess(options: TelemetryOptions): Promise<Telemetry> {
    const { environment, version, logger } = options;
    const metrics = createMetrics();
    addProcessMetrics(metrics);
    return new Telemetry(options, metrics, openTracing(environment, version, logger), await reserveTemporalMetrics());
  }

  get runtimeOptions(): Partial<TemporalMetrics['options']> {
    return this.#temporal?.options ?? {};
  }

  /** For the Kubernetes client. */
  readonly onRequest = (sample: RequestSample): void => {
    observeRequest(this.metrics, sample);
    this.#tracing.request(sample);
  };

  /** For the sweeper. */
  readonly onOrphans = (orphans: readonly Orphan[]): void => this.#orphans.tell(orphans);
  readonly onRelease = (orphan: Orphan): (() => void) => this.#orphans.releasing(orphan);

  /** For the writer of statuses. */
  readonly onWritten = (before: WorkspaceStatus | undefined, written: WorkspaceStatus): void =>
    observeStepDuration(this.metrics, before, written, this.#now());

  /** For the bridge. */
  readonly aroundLook = (sample: LookSample, send: () => Promise<void>): Promise<void> =>
    observeLook({ metrics: this.metrics, tracing: this.#tracing, now: this.#now }, sample, send);

  /** For Temporal's client. */
  get clientInterceptors(): ClientInterceptors {
    return { workflow: [signalInterceptor(this.#tracing)] };
  }

  /** For Temporal's worker. */
  workerOptions(uidOf: (ref: WorkspaceRef) => string | undefined): Pick<WorkerOptions, 'interceptors' | 'sinks'> {
    const interceptor = stepInterceptors({
      metrics: this.metrics,
      tracing: this.#tracing,
      logger: this.#logger,
      uidOf,
    });
    return { interceptors: { activity: [interceptor] }, sinks: traceSinks(this.#tracing) };
  }

  /** Caches of the process: they are told, and have to be up to date. */
  addWatches(watches: () => readonly WatchState[]): void {
    this.#watches.push(watches);
    this.health.add(watchesUpToDate(() => this.#everyWatch()));
    this.health.add(watchesMoving(() => this.#everyWatch(), this.#now));
  }

  /** Tells of the cluster: for bridges. */
  addCluster(view: Omit<ClusterView, 'now'>): void {
    const cluster: ClusterView = { ...view, now: this.#now };
    this.#collectors.push(() => collectWorkspaces(this.metrics, cluster));
  }

  /** The bridge's queue; `held` are those that wait until other workflows have begun. */
  addQueue(queue: () => WorkQueueMetrics & { readonly held: number }): void {
    this.#collectors.push(() => {
      const { ready, active, delayed, held, failed } = queue();
      for (const [state, depth] of Object.entries({ ready, active, delayed, held })) {
        this.metrics.bridgeQueue.set({ state }, depth);
      }
      this.metrics.bridgeFailures.reset();
      this.metrics.bridgeFailures.inc(failed);
    });
  }

  /** All parts are at work. */
  started(): void {
    this.health.remove('started');
  }

  /** The process ends: it is live until then, but not ready any more. */
  stopping(): void {
    this.health.add({ name: 'stopping', for: ['ready'], problem: () => 'the process is stopping' });
  }

  /** Metrics as text for Prometheus: ours, and those of Temporal's SDK. */
  async text(): Promise<{ readonly type: string; readonly body: string }> {
    for (const collect of this.#collectors) await collect();
    const { registry } = this.metrics;
    return { type: registry.contentType, body: `${await registry.metrics()}${await this.#temporalText()}` };
  }

  /** Listens until {@link close}; returns the port. */
  async listen(port: number): Promise<number> {
    this.#http = await serveHttp(port, { health: this.health, metrics: () => this.text(), logger: this.#logger });
    return this.#http.port;
  }

  /** Sends what is left of traces, and ends. */
  async close(): Promise<void> {
    await this.#http?.close();
    try {
      await this.#tracing.close();
    } catch (error) {
      this.#logger.warn('the last traces could not be sent', { error });
    }
  }

  #everyWatch(): readonly WatchState[] {
    return this.#watches.flatMap((watches) => watches());
  }

  async #collectHealth(): Promise<void> {
    const { checks } = await this.health.all();
    this.metrics.health.reset();
    for (const [check, { ok }] of Object.entries(checks)) this.metrics.health.set({ check }, ok ? 1 : 0);
  }

  /** Ours are worth having without the SDK's. */
  async #temporalText(): Promise<string> {
    if (this.#temporal === undefined) return '';
    try {
      return `\n${await this.#temporal.read()}`;
    } catch (error) {
      this.#logger.warn('metrics go without those of Temporal’s SDK', { error });
      return '';
    }
  }
}
