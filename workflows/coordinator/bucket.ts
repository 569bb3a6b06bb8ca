/**
 * A token bucket: how many PUTs may be sent. The cloud keeps one of its own; ours has the same rules, so that we never meet its refusal.
 */
export interface Bucket {
  readonly tokens: number;
  /** When `tokens` was true; ahead of the present while the cloud wants to be left alone. */
  readonly atMs: number;
}

export interface BucketRules {
  readonly burst: number;
  readonly perMinute: number;
}

const MINUTE_MS = 60_000;

/** The bucket as it is now. */
export function refilled({ tokens, atMs }: Bucket, rules: BucketRules, nowMs: number): Bucket {
  const { burst } = rules;
  if (nowMs <= atMs) return { tokens: Math.min(tokens, burst), atMs };
  return { tokens: Math.min(burst, tokens + (nowMs - atMs) / periodMs(rules)), atMs: nowMs };
}

/** In how long one token comes. */
export function periodMs({ perMinute }: BucketRules): number {
  return MINUTE_MS / perMinute;
}

/** Until when nobody may send although there may be tokens. */
export function isShut({ atMs }: Bucket, nowMs: number): boolean {
  return atMs > nowMs;
}

export function hasToken(bucket: Bucket, nowMs: number): boolean {
  return !isShut(bucket, nowMs) && bucket.tokens >= 1;
}

export function taken({ tokens, atMs }: Bucket): Bucket {
  return { tokens: Math.max(0, tokens - 1), atMs };
}

export function returned({ tokens, atMs }: Bucket, { burst }: BucketRules): Bucket {
  return { tokens: Math.min(burst, tokens + 1), atMs };
}

/**
 * The cloud refused although we had a token: somebody else takes from its bucket too. What it promises for `untilMs` is one.
 */
export function shut({ tokens, atMs }: Bucket, untilMs: number): Bucket {
  return untilMs <= atMs ? { tokens: Math.min(tokens, 1), atMs } : { tokens: 1, atMs: untilMs };
}

/** Milliseconds until the `count`-th PUT from now may be sent. */
export function waitMs({ tokens, atMs }: Bucket, rules: BucketRules, count: number, nowMs: number): number {
  const shutMs = Math.max(0, atMs - nowMs);
  return shutMs + Math.max(0, Math.ceil((count - tokens) * periodMs(rules)));
}
