import { CauseError } from '../../api/causes';
import type { AdapterSpec, Workspace } from '../../api/workspace';
import type { ResolvedAdapter } from '../../api/workflow';
import { RESOURCES } from '../../kubernetes/resources';
import type { Dependencies } from '../dependencies';
import { pushedImage } from '../observe/adapters';

/** The images of adapters that come from tuning Workspaces. Throws a CauseError that names what is waited for; one that is served already stays. */
export async function resolveAdapters(
  deps: Dependencies,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<readonly ResolvedAdapter[]> {
  const sources = (workspace.inference?.adapters ?? []).map(({ source }) => source);
  return Promise.all(
    sources.flatMap((source) =>
      source.workspace === undefined ? [] : [resolve(deps, workspace, source, source.workspace, signal)],
    ),
  );
}

async function resolve(
  { client }: Dependencies,
  { metadata: { namespace }, status }: Workspace,
  { name = '', imagePullSecrets }: AdapterSpec['source'],
  tuned: string,
  signal: AbortSignal,
): Promise<ResolvedAdapter> {
  const field = `inference.adapters: source.workspace of '${name}'`;
  const served = status?.adapters?.find((adapter) => adapter.name === name);
  const tuning = await client.get(RESOURCES.workspaces, { namespace, name: tuned }, { signal });
  if (tuning !== undefined && tuning.tuning?.output.image === undefined) {
    throw new CauseError({
      cause: 'InvalidInput',
      message: `${field}: Workspace '${tuned}' ${tuning.tuning === undefined ? 'tunes no model' : 'pushes no image'}`,
      remedy: 'Name a tuning Workspace with tuning.output.image, or use source.image or source.volumeSource.',
    });
  }
  if (tuning === undefined && served !== undefined)
    return { ...served, imagePullSecrets: served.imagePullSecrets ?? [] };
  const image = tuning && pushedImage(tuning);
  if (image === undefined) {
    throw new CauseError({
      cause: 'MissingReference',
      message:
        tuning === undefined
          ? `${field}: Workspace '${tuned}' not found in namespace '${namespace}'`
          : `${field}: Workspace '${tuned}' has not pushed its adapter yet; it is ${tuning.status?.state ?? 'Pending'}`,
      remedy:
        tuning === undefined
          ? 'Create the tuning Workspace; this one goes on by itself.'
          : 'Nothing to do: this Workspace goes on by itself when the adapter is pushed.',
    });
  }
  const pushSecret = tuning?.tuning?.output.imagePushSecret;
  return { name, image, imagePullSecrets: imagePullSecrets ?? (pushSecret === undefined ? [] : [pushSecret]) };
}
