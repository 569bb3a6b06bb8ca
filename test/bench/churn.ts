/** A steady state in which now and then a Workspace changes. */
import { setTimeout as delay } from 'node:timers/promises';

import { RESOURCES } from '../../kubernetes/resources';
import { refOfName } from './names';
import type { Rig } from './rig';
import { spread, type Spread } from './statistics';
import { cpuBetween } from './usage';

export interface Churn {
  readonly seconds: number;
  readonly changes: number;
  /** From the change of the spec until the Workspace is Ready as of it. */
  readonly settled: Spread;
  /** Percent of one core, by process. */
  readonly cpuPercent: Readonly<Record<string, number>>;
}

/** Part of the Workspaces that change each minute in a steady state. */
const CHURN_PER_MINUTE = 0.01;
/** Sizes to fall back to: a change of the list is planned anew, and moves nothing that runs. */
const FALLBACKS = ['Standard_NC48ads_A100_v4', 'Standard_ND96asr_v4'] as const;

/** One percent of the Workspaces changes its spec each minute, evenly; ends when the last change has settled. */
export async function measureChurn(
  rig: Rig,
  names: readonly string[],
  seconds: number,
  signal: AbortSignal,
): Promise<Churn> {
  const everyMs = 60_000 / (names.length * CHURN_PER_MINUTE);
  const changes = Math.max(1, Math.floor((seconds * 1_000) / everyMs));
  const before = await rig.usages();
  const startedAt = performance.now();
  const settling: Promise<number>[] = [];
  for (let index = 0; index < changes; index += 1) {
    const name = names[(index * 7) % names.length] ?? '';
    settling.push(change(rig, name, FALLBACKS[Math.floor(index / names.length) % FALLBACKS.length] ?? '', signal));
    await delay(Math.max(0, startedAt + (index + 1) * everyMs - performance.now()), undefined, { signal });
  }
  const tookMs = await Promise.all(settling);
  const tookSeconds = (performance.now() - startedAt) / 1_000;
  const used = cpuBetween(before, await rig.usages());
  return {
    seconds: tookSeconds,
    changes,
    settled: spread(tookMs),
    cpuPercent: Object.fromEntries(Object.entries(used).map(([name, cpu]) => [name, (100 * cpu) / tookSeconds])),
  };
}

async function change({ client, observer }: Rig, name: string, size: string, signal: AbortSignal): Promise<number> {
  const startedAt = performance.now();
  const { metadata } = await client.patch(
    RESOURCES.workspaces,
    refOfName(name),
    { resource: { instanceTypes: [size] } },
    { signal },
  );
  const { generation = 0 } = metadata;
  await observer.until(
    () => observer.isReadyAt(name, generation),
    () => `${name} is not Ready as of generation ${generation}`,
    signal,
  );
  return performance.now() - startedAt;
}
