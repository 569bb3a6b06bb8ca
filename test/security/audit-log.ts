import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { useEnvironment } from '../environment';
import { permission } from './roles';

/** What the API server wrote down of a request; see local/audit.ts. */
export interface AuditEvent {
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly requestObject?: unknown;
  readonly responseStatus?: { readonly code?: number };
}

const CREATED = 201;

/** What a user asked of the API server so far, in order. */
export async function auditOf(username: string): Promise<readonly AuditEvent[]> {
  const text = await readFile(path.join(useEnvironment().logs, 'kube-apiserver-audit.log'), 'utf8');
  return text
    .split('\n')
    .slice(0, -1)
    .filter((line) => line.includes(username))
    .map((line) => JSON.parse(line) as AuditEvent)
    .filter(({ user }) => user.username === username);
}

/** What a request needed; server-side apply of what was not there needs `create`, too. */
export function permissionsUsed({ verb, objectRef, responseStatus }: AuditEvent): readonly string[] {
  if (objectRef === undefined) return [];
  const { apiGroup = '', resource, subresource } = objectRef;
  const what = subresource === undefined ? resource : `${resource}/${subresource}`;
  const used = [permission(verb, apiGroup, what)];
  return verb === 'patch' && responseStatus?.code === CREATED ? [...used, permission('create', apiGroup, what)] : used;
}

/** `403 create batch/jobs in team-a`: a request as a line of a message. */
export function told(event: AuditEvent): string {
  return `${event.responseStatus?.code ?? '-'} ${permissionsUsed(event).join(', ') || event.verb} ${event.requestURI}`;
}
