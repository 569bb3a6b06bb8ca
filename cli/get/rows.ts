import { table } from '../table';
import { age, duration } from '../times';
import type { Summary } from './summary';

interface Column {
  readonly header: string;
  readonly cell: (summary: Summary, now: Date) => string | undefined;
}

const NAMESPACE: Column = { header: 'NAMESPACE', cell: ({ namespace }) => namespace };

const COLUMNS: readonly Column[] = [
  { header: 'NAME', cell: ({ name }) => name },
  { header: 'STATE', cell: ({ state }) => state },
  { header: 'STEP', cell: ({ step }) => step },
  { header: 'CAUSE', cell: ({ cause }) => cause },
  { header: 'ETA', cell: eta },
  { header: 'NODES', cell: ({ nodes }) => `${nodes.ready}/${nodes.target ?? '?'}` },
  { header: 'SIZE', cell: ({ instanceType }) => instanceType ?? 'own nodes' },
  { header: 'COST/H', cell: ({ pricePerHour }) => (pricePerHour === undefined ? undefined : `$${pricePerHour}`) },
  { header: 'AGE', cell: ({ createdTime }, now) => age(createdTime, now) },
];

const WIDE: readonly Column[] = [
  { header: 'MODEL', cell: ({ preset }) => preset ?? 'own template' },
  { header: 'ATTEMPT', cell: ({ attempt }) => attempt?.toString() },
  { header: 'MESSAGE', cell: ({ message }) => message },
];

export function workspaceTable(
  summaries: readonly Summary[],
  { now, wide, withNamespace }: { readonly now: Date; readonly wide: boolean; readonly withNamespace: boolean },
): string {
  const columns = [...(withNamespace ? [NAMESPACE] : []), ...COLUMNS, ...(wide ? WIDE : [])];
  return table(
    columns.map(({ header }) => header),
    summaries.map((summary) => columns.map(({ cell }) => cell(summary, now) || '-')),
  );
}

/** What is known to come, and when: the end of a training, or the next try. */
export function eta({ expectedTime, nextTryTime }: Summary, now: Date): string | undefined {
  const inMs = (time: string) => Date.parse(time) - now.getTime();
  if (expectedTime !== undefined) return inMs(expectedTime) > 0 ? duration(inMs(expectedTime)) : 'any moment';
  if (nextTryTime !== undefined && inMs(nextTryTime) > 0) return `next try ${duration(inMs(nextTryTime))}`;
  return undefined;
}
