/** The Azure Retail Prices API: no authentication, its own filter language, meters of all kinds among which the right one has to be found. */
import { ArmRefusal } from './errors';
import type { World } from './state';
import type { Answer, RecordedRequest } from './types';

export type Prices = ReadonlyMap<string, { readonly regular?: number; readonly spot?: number }>;

interface Item {
  readonly [field: string]: string | number | boolean;
}

const PAGE = 100;

export function listPrices(world: World, prices: Prices, request: RecordedRequest): Answer {
  const filter = request.query.get('$filter') ?? '';
  const matches = parseFilter(filter);
  const regions = new Set([...world.clusters.values()].map(({ spec }) => spec.location));
  const items = [...prices]
    .flatMap(([name, price]) => [...regions].flatMap((region) => itemsOf(name, region, price)))
    .filter(matches);
  const from = Number(request.query.get('$skip') ?? 0);
  const query = new URLSearchParams(request.query);
  query.set('$skip', String(from + PAGE));
  return {
    status: 200,
    headers: {},
    body: {
      BillingCurrency: 'USD',
      CustomerEntityId: 'Default',
      CustomerEntityType: 'Retail',
      Items: items.slice(from, from + PAGE),
      NextPageLink: from + PAGE < items.length ? `${world.url()}${request.path}?${query.toString()}` : null,
      Count: Math.min(PAGE, items.length - from),
    },
  };
}

/** Linux, Windows, spot, low priority and a year's reservation, as the real list has them side by side. */
function itemsOf(
  armSkuName: string,
  region: string,
  { regular, spot }: { regular?: number; spot?: number },
): readonly Item[] {
  const skuName = armSkuName.replace('Standard_', '').replaceAll('_', ' ');
  const series = `Virtual Machines ${skuName.replace(/\d+/, '')} Series`;
  const item = (price: number, more: Item = {}): Item => ({
    currencyCode: 'USD',
    tierMinimumUnits: 0,
    retailPrice: price,
    unitPrice: price,
    armRegionName: region,
    location: region,
    effectiveStartDate: '2026-01-01T00:00:00Z',
    meterId: '00000000-0000-0000-0000-000000000000',
    meterName: skuName,
    productId: 'DZH318Z00000',
    skuId: 'DZH318Z00000/0000',
    productName: series,
    skuName,
    serviceName: 'Virtual Machines',
    serviceId: 'DZH313Z7MMC8',
    serviceFamily: 'Compute',
    unitOfMeasure: '1 Hour',
    type: 'Consumption',
    isPrimaryMeterRegion: true,
    armSkuName,
    ...more,
  });
  const named = (word: string): Item => ({ meterName: `${skuName} ${word}`, skuName: `${skuName} ${word}` });
  return [
    ...(regular === undefined
      ? []
      : [
          item(regular),
          item(regular * 1.8, { productName: `${series} Windows` }),
          item(regular * 0.35, named('Low Priority')),
          item(regular * 8_760 * 0.6, { type: 'Reservation', reservationTerm: '1 Year' }),
        ]),
    ...(spot === undefined
      ? []
      : [item(spot, named('Spot')), item(spot * 1.8, { ...named('Spot'), productName: `${series} Windows` })]),
  ];
}

/** `a eq 'x' and (b eq 'y' or contains(c, 'z'))`; texts are compared with regard to case, `priceType` is the field `type`. */
function parseFilter(filter: string): (item: Item) => boolean {
  const tokens = filter.match(/'[^']*'|[(),]|[A-Za-z]+/g) ?? [];
  if (tokens.join('').length !== filter.replace(/\s(?=(?:[^']*'[^']*')*[^']*$)/g, '').length) return refuse(filter);
  let at = 0;
  const take = (wanted?: string): string => {
    const token = tokens[at] ?? '';
    if (token === '' || (wanted !== undefined && token !== wanted)) refuse(filter);
    at += 1;
    return token;
  };
  const field = (): string => take().replace(/^priceType$/, 'type');
  const literal = (): string => (/^'.*'$/.test(tokens[at] ?? '') ? take().slice(1, -1) : refuse(filter));
  const term = (): ((item: Item) => boolean) => {
    if (tokens[at] === '(') {
      take();
      const inner = anyOf();
      take(')');
      return inner;
    }
    if (tokens[at] === 'contains') {
      take();
      take('(');
      const name = field();
      take(',');
      const part = literal();
      take(')');
      return (item) => String(item[name] ?? '').includes(part);
    }
    const name = field();
    const operator = take();
    if (operator !== 'eq' && operator !== 'ne') refuse(filter);
    const value = literal();
    return (item) => (item[name] === value) === (operator === 'eq');
  };
  const allOf = (): ((item: Item) => boolean) => {
    const terms = [term()];
    while (tokens[at] === 'and') {
      take();
      terms.push(term());
    }
    return (item) => terms.every((one) => one(item));
  };
  const anyOf = (): ((item: Item) => boolean) => {
    const terms = [allOf()];
    while (tokens[at] === 'or') {
      take();
      terms.push(allOf());
    }
    return (item) => terms.some((one) => one(item));
  };
  if (tokens.length === 0) return () => true;
  const whole = anyOf();
  return at === tokens.length ? whole : refuse(filter);
}

function refuse(filter: string): never {
  throw new ArmRefusal({
    status: 400,
    body: { Error: { Code: 'BadRequest', Message: `Invalid OData parameters supplied: ${filter}` } },
  });
}
