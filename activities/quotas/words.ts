/** What people are told of a quota. */
import type { Failure } from '../../api/causes';
import type { Limits } from './limits';
import type { Amount, Usage } from './tally';

const MOST_NAMES = 5;

type Why = 'machines' | 'price' | 'price-unknown';

/** A size that the quota can never hold. */
export function refusal(namespace: string, what: string, wanted: Amount, limits: Limits, why: Why): Failure {
  const { maxMachines = 0, maxPricePerHour = 0 } = limits;
  switch (why) {
    case 'machines':
      return failure(
        `namespace ${namespace} may have ${machines(maxMachines)}; ${what} is more`,
        'Choose a size that needs fewer machines, or ask the operator for a larger quota of the namespace.',
      );
    case 'price':
      return failure(
        `namespace ${namespace} may spend ${dollars(maxPricePerHour)} an hour; ${what} costs ${dollars(wanted.pricePerHour ?? 0)}`,
        'Choose a cheaper size, or ask the operator for a larger quota of the namespace.',
      );
    case 'price-unknown':
      return failure(
        `namespace ${namespace} may spend ${dollars(maxPricePerHour)} an hour; what ${what} costs is not known`,
        'Choose a size with a listed price, or ask the operator to limit the machines of the namespace instead of their price.',
      );
  }
}

/** A size that has to wait until others let go of theirs. */
export function shortage(
  namespace: string,
  what: string,
  wanted: Amount,
  used: Usage,
  limits: Limits,
  why: Why,
): Failure {
  const { maxMachines = 0, maxPricePerHour = 0 } = limits;
  const users = used.by.length === 0 ? '' : ` by ${listed(used.by)}`;
  switch (why) {
    case 'machines':
      return failure(
        `namespace ${namespace} may have ${machines(maxMachines)}; ${used.machines} ${used.machines === 1 ? 'is' : 'are'} in use${users}; this needs ${wanted.machines} (${what})`,
      );
    case 'price':
      return failure(
        `namespace ${namespace} may spend ${dollars(maxPricePerHour)} an hour; ${dollars(used.pricePerHour ?? 0)} are in use${users}; this needs ${dollars(wanted.pricePerHour ?? 0)} (${what})`,
      );
    case 'price-unknown':
      return failure(
        `namespace ${namespace} may spend ${dollars(maxPricePerHour)} an hour; what is in use${users} costs is not known`,
        'Delete the Workspaces without a listed price, or ask the operator to limit the machines of the namespace instead of their price.',
      );
  }
}

function failure(message: string, remedy?: string): Failure {
  return { cause: 'NamespaceQuota', message, ...(remedy !== undefined && { remedy }) };
}

function machines(count: number): string {
  return `${count} ${count === 1 ? 'machine' : 'machines'}`;
}

function dollars(amount: number): string {
  return `${Number(amount.toFixed(2))} USD`;
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, MOST_NAMES).join(', ');
  return names.length <= MOST_NAMES ? shown : `${shown} and ${names.length - MOST_NAMES} more`;
}
