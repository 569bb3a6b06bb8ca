import { randomBytes } from 'node:crypto';

/** Values that nobody but their Secret may hold, each unique, so that one search finds them wherever they went. */
const plant = (what: string): string => `planted-${what}-${randomBytes(9).toString('hex')}`;

export const PLANTED = {
  /** They begin so. */
  huggingFaceToken: `hf_${plant('hub')}`,
  adapterPullPassword: plant('pull'),
  pushPassword: plant('push'),
  /** In the user part and in the query of a dataset's address. */
  datasetPassword: plant('dataset'),
  datasetSignature: plant('signature'),
  /** In the environment of the product's processes. */
  processVariable: plant('process'),
} as const;

/** A Docker config whose password is that. */
export function dockerConfig(registry: string, password: string): Readonly<Record<string, string>> {
  const auth = Buffer.from(`robot:${password}`).toString('base64');
  return { '.dockerconfigjson': JSON.stringify({ auths: { [registry]: { username: 'robot', password, auth } } }) };
}

/** A place that was searched, and what it says. */
export interface Trace {
  readonly where: string;
  readonly text: string;
}

/** `where: which` for each planted value that is in a trace as it stands, as an address has it, or in base64 at any position. */
export function found(
  traces: readonly Trace[],
  planted: Readonly<Record<string, string>> = PLANTED,
): readonly string[] {
  return traces.flatMap(({ where, text }) =>
    Object.entries(planted)
      .filter(([, value]) => formsOf(value).some((form) => text.includes(form)))
      .map(([which]) => `${where}: ${which}`),
  );
}

function formsOf(value: string): readonly string[] {
  // What stands before the value in the encoded text shifts it by 0, 1 or 2 bytes; the characters at the edges belong to its neighbours, too.
  const encoded = [0, 1, 2].map((shift) =>
    Buffer.from(`${' '.repeat(shift)}${value}`)
      .toString('base64')
      .slice(shift === 0 ? 0 : shift + 1, -4),
  );
  return [value, encodeURIComponent(value), Buffer.from(value).toString('hex'), ...encoded];
}
