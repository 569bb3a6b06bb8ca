/** What the API server did for all its clients, by its own metrics. */

/** Requests of one sort: how many, and how long they took in all. */
export interface Served {
  readonly count: number;
  readonly seconds: number;
}

export type ServedBySort = ReadonlyMap<string, Served>;

const LINE = /^apiserver_request_duration_seconds_(sum|count)\{([^}]*)\} (\S+)$/gm;

/** Reads the text of `/metrics`; the sorts are `VERB RESOURCE[/SUBRESOURCE]`, without watches. */
export function served(metrics: string): ServedBySort {
  const sorts = new Map<string, { count: number; seconds: number }>();
  for (const [, what, labels = '', value] of metrics.matchAll(LINE)) {
    const label = (name: string): string => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1] ?? '';
    const verb = label('verb');
    const resource = label('resource');
    if (verb === 'WATCH' || resource === '') continue;
    const subresource = label('subresource');
    const key = `${verb} ${resource}${subresource === '' ? '' : `/${subresource}`}`;
    const sort = sorts.get(key) ?? { count: 0, seconds: 0 };
    sort[what === 'sum' ? 'seconds' : 'count'] += Number(value);
    sorts.set(key, sort);
  }
  return sorts;
}

/** What was served between two looks, the most time first. */
export function servedBetween(
  before: ServedBySort,
  after: ServedBySort,
): readonly (Served & { readonly sort: string })[] {
  return [...after]
    .map(([sort, { count, seconds }]) => ({
      sort,
      count: count - (before.get(sort)?.count ?? 0),
      seconds: seconds - (before.get(sort)?.seconds ?? 0),
    }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.seconds - a.seconds);
}
