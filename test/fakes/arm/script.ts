import type { Refusal } from './errors';
import { Met } from './rules';
import type { Answer, RecordedRequest, RequestMatch, Rule, RuleBuilder, Script, Turn } from './types';

/** What is done to a request instead of, or after, what the server would do. */
export type RequestEffect =
  | { readonly kind: 'answer'; readonly refusal: Refusal }
  | { readonly kind: 'reset' }
  | { readonly kind: 'resetAfterEffect' }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'alter'; readonly change: (answer: Answer) => Answer };

export class RequestScript implements Script {
  #rules: Met<RecordedRequest, RequestEffect>[] = [];

  on(method: string, match: RequestMatch, turn: Turn = 'every'): RuleBuilder {
    const matches = requestMatcher(method, match);
    const add = (effect: RequestEffect): Rule => {
      const rule = new Met(matches, turn, effect);
      this.#rules.push(rule);
      return rule;
    };
    return {
      answer: (refusal) => add({ kind: 'answer', refusal }),
      reset: () => add({ kind: 'reset' }),
      resetAfterEffect: () => add({ kind: 'resetAfterEffect' }),
      delay: (ms) => add({ kind: 'delay', ms }),
      alter: (change) => add({ kind: 'alter', change }),
    };
  }

  clear(): void {
    this.#rules = [];
  }

  /** The first rule whose turn it is; later ones count the request all the same. */
  effectOn(request: RecordedRequest): RequestEffect | undefined {
    return this.#rules.filter((rule) => rule.meets(request))[0]?.effect;
  }
}

export function requestMatcher(method: string, match: RequestMatch): (request: RecordedRequest) => boolean {
  const matchesPath = (request: RecordedRequest): boolean => {
    if (typeof match === 'function') return match(request);
    if (typeof match === 'string') return request.path.split('/').at(-1) === match;
    return match.test(request.path);
  };
  return (request) => (method === '*' || request.method === method.toUpperCase()) && matchesPath(request);
}
