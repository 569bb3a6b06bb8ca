import { run } from './programs/run';
import { paths, type State } from './state';

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

/** Waits until every CustomResourceDefinition can be used. */
export async function kubectlWaitForCrds(dir: string, state: State): Promise<void> {
  await kubectl(dir, state, ['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all']);
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
