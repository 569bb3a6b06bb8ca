/**
 * ControllerRevisions, as KAITO keeps them: one per specification, numbered, the last ten kept; the Workspace's annotations name the current one.
 */
import { ANNOTATION_HASH, ANNOTATION_REVISION, LABEL_REVISION_OWNER } from '../../api/labels';
import type { Workspace } from '../../api/workspace';
import { controllerRevision, specHash } from '../../manifests/controller-revision';
import { labelsSelector } from '../../kubernetes/client';
import { isAlreadyExists } from '../../kubernetes/errors';
import type { ControllerRevision } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import type { Dependencies } from '../dependencies';
import { isOfFormerLife } from './former-life';

const MOST_REVISIONS = 10;

/** The number of the Workspace's specification; records it where it is new. */
export async function ensureRevision(
  { client }: Pick<Dependencies, 'client'>,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<number> {
  const hash = specHash(workspace);
  const { annotations = {}, namespace, name } = workspace.metadata;
  const recorded = Number(annotations[ANNOTATION_REVISION]);
  if (annotations[ANNOTATION_HASH] === hash && Number.isInteger(recorded) && recorded > 0) return recorded;

  const revision = await recordRevision({ client }, workspace, hash, signal);
  await client.patch(
    RESOURCES.workspaces,
    { namespace, name },
    { metadata: { annotations: { [ANNOTATION_HASH]: hash, [ANNOTATION_REVISION]: String(revision) } } },
    { signal },
  );
  return revision;
}

async function recordRevision(
  { client }: Pick<Dependencies, 'client'>,
  workspace: Workspace,
  hash: string,
  signal: AbortSignal,
): Promise<number> {
  if (workspace.metadata.annotations?.[ANNOTATION_HASH] === undefined) {
    try {
      await client.create(RESOURCES.controllerRevisions, controllerRevision(workspace, 1), { signal });
      return 1;
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }
  const { namespace, name } = workspace.metadata;
  const labelSelector = labelsSelector({ [LABEL_REVISION_OWNER]: name });
  const { items } = await client.list(RESOURCES.controllerRevisions, { namespace, labelSelector }, { signal });
  for (const item of items) {
    if (await isOfFormerLife({ client }, item, workspace, signal)) await remove({ client }, [item], signal);
  }
  const mine = items.filter((item) => item.metadata.ownerReferences?.some(({ uid }) => uid === workspace.metadata.uid));
  const same = mine.find((item) => item.metadata.annotations?.[ANNOTATION_HASH] === hash);
  if (same !== undefined) return same.revision;

  const revision = Math.max(0, ...mine.map((item) => item.revision)) + 1;
  await client.create(RESOURCES.controllerRevisions, controllerRevision(workspace, revision), { signal });
  await prune({ client }, mine, signal);
  return revision;
}

async function prune(
  { client }: Pick<Dependencies, 'client'>,
  before: readonly ControllerRevision[],
  signal: AbortSignal,
): Promise<void> {
  const oldest = [...before]
    .sort((a, b) => a.revision - b.revision)
    .slice(0, Math.max(0, before.length + 1 - MOST_REVISIONS));
  await remove({ client }, oldest, signal);
}

async function remove(
  { client }: Pick<Dependencies, 'client'>,
  revisions: readonly ControllerRevision[],
  signal: AbortSignal,
): Promise<void> {
  for (const { metadata } of revisions) {
    const { namespace = '', name, uid } = metadata;
    await client.delete(RESOURCES.controllerRevisions, { namespace, name }, { uid, signal });
  }
}
