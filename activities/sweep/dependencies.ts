import type { Orphan } from '../../api/sweep';
import type { WorkspaceRef } from '../../api/workflow';
import type { KubernetesClient } from '../../kubernetes/client';
import type { EventRecorder } from '../../kubernetes/events';
import type { Logger } from '../../kubernetes/logger';
import type { Machines } from '../machines/provider';

/** What the sweeper's activities work with. */
export interface SweepDependencies {
  readonly client: Pick<KubernetesClient, 'list' | 'get'>;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly logger: Logger;
  /** Those that buy nothing have nothing to sweep. */
  readonly providers: readonly Machines[];
  /** Whether the Workspace's workflow runs now: asked of Temporal itself, as its lists lag. Throws where that is not known. */
  readonly isWorkflowRunning: (ref: WorkspaceRef) => Promise<boolean>;
  /** Called with all orphans each time they are told; for metrics. */
  readonly onOrphans?: (orphans: readonly Orphan[]) => void;
  /** Called when a release begins; what it returns, when that has ended, however it did. */
  readonly onRelease?: (orphan: Orphan) => () => void;
  readonly now: () => Date;
}
