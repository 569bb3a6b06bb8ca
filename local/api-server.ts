import { readFile } from 'node:fs/promises';

import { addressesOf } from './node/addresses';
import { paths, type State } from './state';

/** The address that parts of the environment listen on. */
export const LOOPBACK = '127.0.0.1';

/** The API server's address: the loopback's, or with a real node the machine's end of the link to it, where pods reach it too. */
export function apiServerHost({ node }: State): string {
  return node === undefined ? LOOPBACK : addressesOf(node.block).host;
}

/** Where the API server answers. */
export function apiServerUrl(state: State): string {
  return `https://${apiServerHost(state)}:${state.ports.apiServer}`;
}

/** What the API server made for itself; undefined until it has. */
export async function servingCertificate(dir: string): Promise<string | undefined> {
  try {
    return await readFile(paths(dir).servingCertificate, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
