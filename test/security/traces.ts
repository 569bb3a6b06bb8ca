import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { useEnvironment } from '../environment';
import { RESOURCES, type Resource } from '../../kubernetes/resources';
import type { Stage } from '../e2e/support';
import type { AuditEvent } from './audit-log';
import type { Trace } from './planted';

/** Everything that outlives a request, or that others than its user can see: what was told where. */

/** Histories and descriptions (heartbeats, search attributes, memo, failures) of every run of the Workspaces whose namespaces begin so. */
export async function temporalTraces({ temporal }: Stage, namespaces: string): Promise<readonly Trace[]> {
  const traces: Trace[] = [];
  for await (const { workflowId, runId } of temporal.workflow.list()) {
    if (!workflowId.startsWith(`workspace/${namespaces}`)) continue;
    const handle = temporal.workflow.getHandle(workflowId, runId);
    const { events } = await handle.fetchHistory();
    traces.push({ where: `history of ${workflowId}`, text: textOf(events) });
    traces.push({ where: `description of ${workflowId}`, text: textOf((await handle.describe()).raw) });
  }
  return traces;
}

/** Every object of the kinds that the product reads or writes, Secrets aside. The dataset's addresses are left out where the user wrote them, and where they have to be to be used. */
export async function objectTraces(stage: Stage): Promise<readonly Trace[]> {
  const kinds = Object.values(RESOURCES).filter(({ plural }) => plural !== RESOURCES.secrets.plural);
  const lists = await Promise.all(
    kinds.map(async (resource: Resource) => {
      const { items } = await stage.client.list(resource);
      return items.map((object) => ({
        where: `${resource.kind} ${object.metadata.namespace ?? ''}/${object.metadata.name}`,
        text: withoutAddresses(object),
      }));
    }),
  );
  return lists.flat();
}

/** What the product sent to the API server. */
export function requestTraces(events: readonly AuditEvent[]): readonly Trace[] {
  return events.map((event) => ({ where: `request ${event.verb} ${event.requestURI}`, text: withoutAddresses(event) }));
}

/** Logs of the environment's own programs, Temporal's and Karpenter's among them. */
export async function logTraces(): Promise<readonly Trace[]> {
  const { logs } = useEnvironment();
  const files = (await readdir(logs)).filter((name) => !name.startsWith('kube-apiserver-audit'));
  return Promise.all(
    files.map(async (name) => ({ where: `log ${name}`, text: await readFile(path.join(logs, name), 'utf8') })),
  );
}

/** Command lines of every process of this machine. */
export async function commandLineTraces(): Promise<readonly Trace[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  return Promise.all(
    pids.map(async (pid) => ({
      where: `command line of process ${pid}`,
      text: await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''), // it may have ended meanwhile
    })),
  );
}

/** As JSON, with the bytes of payloads as the text that they are. */
export function textOf(value: unknown): string {
  return JSON.stringify(plain(value));
}

/** Messages of gRPC would make base64 of bytes if they were asked for JSON themselves. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]));
}

function withoutAddresses(object: unknown): string {
  return JSON.stringify(object, (key, value: unknown) => {
    if (key === 'urls') return undefined;
    const isAddresses =
      typeof value === 'object' && value !== null && 'name' in value && value.name === 'KAITO_DATASET_URLS';
    return isAddresses ? undefined : value;
  });
}
