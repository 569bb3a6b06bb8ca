import type { FailureScope } from '../../../../activities/machines/azure/error-catalogue';
import {
  describe as inWords,
  nextVariant,
  variantsOf,
  type Tried,
} from '../../../../activities/machines/azure/variants';
import { wishesOf, type Wishes } from '../../../../activities/machines/azure/wishes';
import type { PoolVariant } from '../../../../manifests/agent-pool';
import { QUICK_START, workspace } from '../../manifests/fixtures';

const SIZE = 'Standard_NC24ads_A100_v4';

function failed(
  variant: PoolVariant,
  scope: FailureScope,
  failureClass: Tried['verdict']['class'] = 'capacity',
): Tried {
  const failure = { cause: 'Capacity', message: 'm' } as const;
  return { variant, verdict: { class: failureClass, scope, code: 'C', ttlMs: 0, failure } };
}

/** Tries until nothing is left; each try fails as the function says. */
function order(
  wishes: Wishes,
  configuration: { zones?: string[]; capacityReservations?: Record<string, string> },
  fails: (variant: PoolVariant) => FailureScope,
): readonly string[] {
  const variants = variantsOf(SIZE, wishes, configuration);
  const tried: Tried[] = [];
  for (let next = nextVariant(variants, tried); next !== undefined; next = nextVariant(variants, tried)) {
    tried.push(failed(next, fails(next)));
  }
  return tried.map(({ variant }) => inWords(variant));
}

const both: Wishes = { capacityType: 'spot-then-on-demand' };

describe('the ways to buy a size', () => {
  test.each<[string, Wishes, Parameters<typeof order>[1], FailureScope, string[]]>([
    ['anywhere', { capacityType: 'on-demand' }, {}, 'placement', ['on-demand']],
    ['spot first', both, {}, 'placement', ['spot', 'on-demand']],
    [
      'zones of the configuration, then the region',
      { capacityType: 'on-demand' },
      { zones: ['1', '2'] },
      'zone',
      ['on-demand, zone 1', 'on-demand, zone 2', 'on-demand'],
    ],
    ['zones of the user only', { capacityType: 'spot', zones: ['3'] }, { zones: ['1'] }, 'zone', ['spot, zone 3']],
    [
      'what is reserved first',
      { capacityType: 'on-demand' },
      { capacityReservations: { [SIZE.toLowerCase()]: 'g' } },
      'reservation',
      ['on-demand, reserved', 'on-demand'],
    ],
    [
      'a managed disk where the ephemeral one is in the way',
      both,
      {},
      'disk',
      ['spot', 'spot, managed disk', 'on-demand', 'on-demand, managed disk'],
    ],
    [
      'nothing else where the subscription may not use the size',
      both,
      { zones: ['1', '2'] },
      'subscription',
      ['spot, zone 1'],
    ],
    [
      'no zone where the family’s quota is short',
      { capacityType: 'on-demand' },
      { zones: ['1', '2'] },
      'family',
      ['on-demand, zone 1'],
    ],
  ])('%s', (_, wishes, configuration, scope, expected) => {
    expect(order(wishes, configuration, () => scope)).toEqual(expected);
  });

  test('quota of spot machines leaves on-demand ones', () => {
    expect(order(both, { zones: ['1'] }, ({ priority }) => (priority === 'Spot' ? 'spot' : 'zone'))).toEqual([
      'spot, zone 1',
      'on-demand, zone 1',
      'on-demand',
    ]);
  });

  test('what has nothing to do with the size is tried again, but not for ever', () => {
    const [variant] = variantsOf(SIZE, { capacityType: 'on-demand' }, {});
    if (variant === undefined) throw new Error('there is a variant');
    const once = failed(variant, 'request', 'internal');
    expect(nextVariant([variant], [once])).toEqual(variant);
    expect(nextVariant([variant], [once, once])).toBeUndefined();
    const conflict = failed(variant, 'request', 'conflict');
    expect(nextVariant([variant], Array<Tried>(4).fill(conflict))).toEqual(variant);
    expect(nextVariant([variant], Array<Tried>(5).fill(conflict))).toBeUndefined();
  });

  test('the user’s wishes are those of the selector, too', () => {
    const selecting = workspace({
      ...QUICK_START,
      resource: {
        instanceType: SIZE,
        labelSelector: {
          matchLabels: { 'topology.kubernetes.io/zone': 'eastus-2', 'karpenter.sh/capacity-type': 'spot' },
        },
      },
    });
    expect(wishesOf(selecting)).toEqual({ capacityType: 'spot', zones: ['2'] });
    expect(wishesOf(workspace(QUICK_START))).toEqual({ capacityType: 'on-demand' });
  });
});
