import { LESSONS, type Exchange, type PoolCandidate } from '../../api/coordination';

/**
 * Refuses what would spoil the state: people can send updates too, from another release's worker or by hand. Throws an Error that names the field.
 */
export function checkExchange(said: Exchange): void {
  text('session', said.session);
  natural('number', said.number);
  if (said.joins !== undefined) {
    const { burst, perMinute, creatingAtOnce, leaseMs, askAgainMs } = said.joins;
    for (const [name, value] of Object.entries({ burst, perMinute, creatingAtOnce, leaseMs, askAgainMs })) {
      positive(`joins.${name}`, value);
    }
    // With less than one, nothing would ever be allowed.
    atLeastOne('joins.burst', burst);
    atLeastOne('joins.creatingAtOnce', creatingAtOnce);
  }
  if (said.throttledMs !== undefined) notNegative('throttledMs', said.throttledMs);
  for (const [index, outcome] of list('outcomes', said.outcomes)) {
    checkCandidate(`outcomes.${index}.candidate`, outcome.candidate);
    if (outcome.kind !== 'failed') continue;
    const { lesson, failure } = outcome;
    if (!Object.hasOwn(LESSONS, lesson)) {
      throw refusal(`outcomes.${index}.lesson`, lesson, `one of ${Object.keys(LESSONS).join(', ')}`);
    }
    text(`outcomes.${index}.failure.message`, failure.message);
    if (failure.remedy !== undefined) text(`outcomes.${index}.failure.remedy`, failure.remedy);
    if (outcome.ttlMs !== undefined) notNegative(`outcomes.${index}.ttlMs`, outcome.ttlMs);
  }
  for (const [index, ask] of list('asks', said.asks)) {
    text(`asks.${index}.lease`, ask.lease);
    text(`asks.${index}.workspaceUid`, ask.workspaceUid);
    checkCandidate(`asks.${index}.candidate`, ask.candidate);
  }
  for (const name of ['released', 'used', 'wants'] as const) {
    for (const [index, lease] of list(name, said[name])) text(`${name}.${index}`, lease);
  }
}

function checkCandidate(field: string, { family, instanceType, vcpus }: PoolCandidate): void {
  text(`${field}.family`, family);
  text(`${field}.instanceType`, instanceType);
  notNegative(`${field}.vcpus`, vcpus);
}

function list<T>(field: string, value: readonly T[] | undefined): Iterable<[number, T]> {
  if (value !== undefined && !Array.isArray(value)) throw refusal(field, value, 'a list');
  return (value ?? []).entries();
}

function text(field: string, value: unknown): void {
  if (typeof value !== 'string' || value === '') throw refusal(field, value, 'a text');
}

function natural(field: string, value: unknown): void {
  if (!Number.isSafeInteger(value)) throw refusal(field, value, 'a whole number');
}

function notNegative(field: string, value: number): void {
  if (!Number.isFinite(value) || value < 0) throw refusal(field, value, 'a number, 0 or more');
}

function positive(field: string, value: number): void {
  if (!Number.isFinite(value) || value <= 0) throw refusal(field, value, 'a number above 0');
}

function atLeastOne(field: string, value: number): void {
  if (value < 1) throw refusal(field, value, '1 or more');
}

function refusal(field: string, value: unknown, expected: string): Error {
  return new Error(`exchange: ${field} is ${JSON.stringify(value)}; it must be ${expected}`);
}
