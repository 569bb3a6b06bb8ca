import { isDeepStrictEqual } from 'node:util';
import type { KubernetesClient } from '../../kubernetes/client';
import { isConflict, isNotFound } from '../../kubernetes/errors';
import { RESOURCES } from '../../kubernetes/resources';
import { API_VERSION, KIND, type Workspace, type WorkspaceStatus } from '../../api/workspace';
import type { World } from '../observe/world';

export interface StatusWriter {
  /** The Workspace with the newest status that this process knows: what was read, or what it wrote after that. */
  latest(workspace: Workspace): Workspace;
  /**
   * Makes `status` the Workspace's status, if it differs from the newest one known. Returns what was asked for. A Workspace that is gone, or
   * whose name now belongs to another, is no error: there is nobody to tell.
   */
  write(workspace: Workspace, status: WorkspaceStatus, signal?: AbortSignal): Promise<WorkspaceStatus>;
  /** Frees what is remembered of a Workspace. */
  forget(uid: string): void;
}

interface Written {
  readonly resourceVersion: bigint;
  readonly status: WorkspaceStatus;
}

export interface StatusWriterOptions {
  /** Called after a status was written, with the one that it replaced. */
  readonly onWritten?: (before: WorkspaceStatus | undefined, written: WorkspaceStatus) => void;
}

/** The only writer of Workspace status: server-side apply, once per change. */
export function createStatusWriter(
  client: KubernetesClient,
  { onWritten = () => undefined }: StatusWriterOptions = {},
): StatusWriter {
  const writtenByUid = new Map<string, Written>();

  function latest(workspace: Workspace): Workspace {
    const written = writtenByUid.get(workspace.metadata.uid);
    // Resource versions of one kind are comparable integers (Kubernetes 1.35 made that part of the API).
    const isNewer = written !== undefined && written.resourceVersion >= BigInt(workspace.metadata.resourceVersion);
    return isNewer ? { ...workspace, status: written.status } : workspace;
  }

  return {
    latest,
    async write(workspace, status, signal) {
      const before = latest(workspace).status;
      if (isDeepStrictEqual(before, status)) return status;
      const { name, namespace, uid } = workspace.metadata;
      try {
        // The uid makes the write fail rather than touch a later Workspace of the same name.
        const manifest = { apiVersion: API_VERSION, kind: KIND, metadata: { name, namespace, uid }, status };
        const { metadata } = await client.applyStatus(RESOURCES.workspaces, manifest, signal && { signal });
        writtenByUid.set(uid, { resourceVersion: BigInt(metadata.resourceVersion), status });
      } catch (error) {
        if (!isNotFound(error) && !isConflict(error)) throw error;
        writtenByUid.delete(uid);
        return status;
      }
      onWritten(before, status);
      return status;
    },
    forget(uid) {
      writtenByUid.delete(uid);
    },
  };
}

/** Frees what is remembered of Workspaces that are gone, whichever worker released them. Returns how to end that. */
export function forgetGone(
  writer: Pick<StatusWriter, 'forget'>,
  workspaces: Pick<World['workspaces'], 'subscribe'>,
): () => void {
  return workspaces.subscribe(({ type, object }) => {
    if (type === 'deleted') writer.forget(object.metadata.uid);
  });
}
