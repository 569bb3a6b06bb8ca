import { setTimeout as delay } from 'node:timers/promises';

import { run } from './programs/run';
import { paths, type State } from './state';

const CRDS_WITHIN_MS = 60_000;
const CRDS_POLL_MS = 50;

/** Applies manifests, server-side: files, or documents as objects. */
export async function kubectlApply(
  dir: string,
  state: State,
  manifests: { readonly files: readonly string[] } | { readonly objects: readonly object[] },
): Promise<void> {
  const common = ['apply', '--server-side', '--force-conflicts', '--field-manager=kaito-local'];
  if ('files' in manifests) {
    await kubectl(dir, state, [...common, ...manifests.files.flatMap((file) => ['-f', file])]);
    return;
  }
  const list = { apiVersion: 'v1', kind: 'List', items: manifests.objects };
  await kubectl(dir, state, [...common, '-f', '-'], JSON.stringify(list));
}

/**
 * Waits until every CustomResourceDefinition can be used.
 *
 * `kubectl wait` cannot: it fails on a definition so young that it has no conditions yet.
 */
export async function kubectlWaitForCrds(dir: string, state: State): Promise<void> {
  const deadline = Date.now() + CRDS_WITHIN_MS;
  for (;;) {
    const { items } = JSON.parse(await kubectl(dir, state, ['get', 'crd', '-o', 'json'])) as { items: readonly Crd[] };
    const missing = items.filter((crd) => !isEstablished(crd));
    if (missing.length === 0) return;
    if (Date.now() > deadline)
      throw new Error(`not established: ${missing.map((crd) => crd.metadata.name).join(', ')}`);
    await delay(CRDS_POLL_MS);
  }
}

interface Crd {
  readonly metadata: { readonly name: string };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] | null };
}

function isEstablished(crd: Crd): boolean {
  return (crd.status?.conditions ?? []).some(({ type, status }) => type === 'Established' && status === 'True');
}

/** Runs kubectl against the environment; its stdout. */
export async function kubectl(dir: string, state: State, args: readonly string[], stdin?: string): Promise<string> {
  const program = state.programs.kubectl;
  if (program === undefined) throw new Error('this environment has no kubectl');
  const { code, stdout, stderrTail } = await run(program.file, args, {
    env: { KUBECONFIG: paths(dir).kubeconfig },
    ...(stdin === undefined ? {} : { stdin }),
  });
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderrTail}`);
  return stdout;
}
