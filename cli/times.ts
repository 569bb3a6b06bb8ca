const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** A length of time as people read it: `340ms`, `12s`, `3m20s`, `5h2m`, `3d4h`. */
export function duration(ms: number): string {
  if (ms < 0) return duration(0);
  if (ms < SECOND_MS) return `${Math.round(ms)}ms`;
  if (ms < 2 * MINUTE_MS) return `${Math.floor(ms / SECOND_MS)}s`;
  if (ms < HOUR_MS) return two(ms, MINUTE_MS, 'm', SECOND_MS, 's');
  if (ms < 2 * DAY_MS) return two(ms, HOUR_MS, 'h', MINUTE_MS, 'm');
  return two(ms, DAY_MS, 'd', HOUR_MS, 'h');
}

function two(ms: number, large: number, largeUnit: string, small: number, smallUnit: string): string {
  const rest = Math.floor((ms % large) / small);
  return `${Math.floor(ms / large)}${largeUnit}${rest === 0 ? '' : `${rest}${smallUnit}`}`;
}

/** How long ago, `-` where it is not known. */
export function age(time: string | undefined, now: Date): string {
  return time === undefined
    ? '-'
    : duration(Math.max(0, Math.floor((now.getTime() - Date.parse(time)) / 1_000) * 1_000));
}

/** Milliseconds of a length such as `90s`, `10m`, `2h`; undefined for what is none. */
export function parseDuration(text: string): number | undefined {
  const [, amount, unit] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? [];
  if (amount === undefined || unit === undefined) return undefined;
  return Number(amount) * { ms: 1, s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS }[unit as 'ms' | 's' | 'm' | 'h'];
}
