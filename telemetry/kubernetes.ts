import type { RequestSample } from '../kubernetes/client';
import type { ListWatchMetrics } from '../kubernetes/list-watch';
import type { Metrics } from './metrics';

/** One cache, as it is now. */
export interface WatchState extends ListWatchMetrics {
  /** Plural name. */
  readonly resource: string;
  /** Objects in it. */
  readonly size: number;
}

/** Counts a request to the Kubernetes API. */
export function observeRequest(metrics: Metrics, { verb, resource, code, durationMs }: RequestSample): void {
  metrics.requests.observe({ verb, resource, code: String(code) }, durationMs / 1000);
}

/** Tells how the watches are. They count for themselves since they began; so a cache that is closed takes its counts along. */
export function collectWatches(metrics: Metrics, watches: readonly WatchState[], now: number): void {
  const { watchRestarts, watchErrors, watchAge, watchObjects } = metrics;
  for (const metric of [watchRestarts, watchErrors, watchAge, watchObjects]) metric.reset();
  for (const { resource, reconnects, relists, gone, errors, lastEventAt, size } of watches) {
    watchRestarts.inc({ resource, how: 'reconnect' }, reconnects);
    watchRestarts.inc({ resource, how: 'relist' }, relists);
    watchRestarts.inc({ resource, how: 'gone' }, gone);
    watchErrors.inc({ resource }, errors);
    watchObjects.set({ resource }, size);
    if (lastEventAt !== undefined) watchAge.set({ resource }, Math.max(0, now - lastEventAt) / 1000);
  }
}
