import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { PRODUCT_MANIFESTS } from '../local/defaults';
import { down, up, type Environment, type Parts } from '../local/environment';

/**
 * The environments that a test run shares. jest.config.cjs starts each at most once per run, and only when a test that needs it is
 * among those to run; their coordinates reach the tests through the process environment.
 */
const SHARED = {
  cluster: 'KAITO_TEST_CLUSTER',
  temporal: 'KAITO_TEST_TEMPORAL',
} as const;

type Shared = keyof typeof SHARED;

/** The folder of an environment to use instead of a fresh one; it is brought up if need be, and stays up. */
const EXISTING = 'KAITO_TEST_DIR';

/** For integration and end-to-end tests: a control plane with Karpenter and KWOK, the product's kinds, and Temporal. */
export function useEnvironment(): Environment & { readonly kubeconfig: string } & Required<
    Pick<Environment, 'temporal'>
  > {
  const { kubeconfig, temporal, ...rest } = read('cluster', 'test/integration or test/e2e');
  if (kubeconfig === undefined || temporal === undefined) throw new Error('the shared environment lacks a part');
  return { ...rest, kubeconfig, temporal };
}

/** For workflow tests: a Temporal server. */
export function useTemporal(): Required<Environment>['temporal'] {
  const { temporal } = read('temporal', 'test/workflow');
  if (temporal === undefined) throw new Error('the shared environment lacks Temporal');
  return temporal;
}

function read(shared: Shared, folder: string): Environment {
  const json = process.env[SHARED[shared]];
  if (json === undefined) throw new Error(`this test needs an environment; only tests in ${folder} are given this one`);
  return JSON.parse(json) as Environment;
}

/** Brings up a shared environment; called by jest before the first test. */
export async function setUp(shared: Shared): Promise<void> {
  const parts: Parts =
    shared === 'cluster'
      ? { kubernetes: true, karpenter: true, temporal: 'memory' }
      : { kubernetes: false, karpenter: false, temporal: 'memory' };
  const existing = process.env[EXISTING];
  const environment = await up({
    dir: existing ?? (await mkdtemp(path.join(tmpdir(), `kaito-test-${shared}-`))),
    ...(existing === undefined ? { parts, lifetime: 'owner' } : {}),
    manifestFolders: PRODUCT_MANIFESTS,
    log: (line) => process.stderr.write(`${line}\n`),
  });
  process.env[SHARED[shared]] = JSON.stringify(environment);
}

/** Ends a shared environment; called by jest after the last test. */
export async function tearDown(shared: Shared): Promise<void> {
  if (process.env[EXISTING] !== undefined) return;
  const json = process.env[SHARED[shared]];
  if (json !== undefined) await down((JSON.parse(json) as Environment).dir);
}
