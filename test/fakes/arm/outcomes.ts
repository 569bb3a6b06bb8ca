import type { ErrorBody } from './errors';
import { Met } from './rules';
import type { OperationKind, OutcomeBuilder, Outcomes, Pool, PoolMatch, Rule, SuccessOptions, Turn } from './types';

/** How an operation ends. */
export type Outcome =
  | ({ readonly kind: 'succeeds' } & SuccessOptions)
  | { readonly kind: 'fails'; readonly error: ErrorBody; readonly afterMs?: number; readonly nodes?: number }
  | { readonly kind: 'cancels'; readonly afterMs?: number; readonly error?: ErrorBody }
  | { readonly kind: 'neverEnds' };

interface Subject {
  readonly operation: OperationKind;
  readonly pool: Pool;
}

export class OutcomeScript implements Outcomes {
  #rules: Met<Subject, Outcome>[] = [];

  on(kind: OperationKind, match: PoolMatch, turn: Turn = 'every'): OutcomeBuilder {
    const matches = poolMatcher(match);
    const add = (outcome: Outcome): Rule => {
      const rule = new Met<Subject, Outcome>(
        ({ operation, pool }) => operation === kind && matches(pool),
        turn,
        outcome,
      );
      this.#rules.push(rule);
      return rule;
    };
    return {
      fails: (error, options = {}) => add({ kind: 'fails', error, ...options }),
      cancels: (options = {}) => add({ kind: 'cancels', ...options }),
      neverEnds: () => add({ kind: 'neverEnds' }),
      succeeds: (options) => add({ kind: 'succeeds', ...options }),
    };
  }

  clear(): void {
    this.#rules = [];
  }

  of(operation: OperationKind, pool: Pool): Outcome {
    return this.#rules.filter((rule) => rule.meets({ operation, pool })).at(-1)?.effect ?? { kind: 'succeeds' };
  }
}

function poolMatcher(match: PoolMatch): (pool: Pool) => boolean {
  if (typeof match === 'function') return match;
  if (typeof match === 'string') return ({ name }) => name === match;
  return ({ name }) => match.test(name);
}
