/** The lives that Workspaces lead in a run: what their users do, and how they have to end up, whatever is killed meanwhile. */
import { ANNOTATION_RETRY } from '../../api/labels';
import { workflowIdOf } from '../../api/workflow';
import type { Workspace } from '../../api/workspace';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { isAlreadyExists } from '../../kubernetes/errors';
import type { Manifest } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import { imageOf } from './player';
import { insist, type Ref, type Scene } from './scene';

export const LIVES = ['serves', 'grows', 'changes', 'tunes', 'resumes', 'tunes-again', 'leaves', 'returns'] as const;
export type LifeName = (typeof LIVES)[number];

/** How many objects of a kind a life needs, from its first to its last. */
export interface Needs {
  readonly nodeClaims: number;
  readonly statefulSets: number;
  readonly jobs: number;
  readonly trainings: number;
  /** Machines at one time. */
  readonly machinesAtOnce: number;
}

export interface Life {
  readonly life: LifeName;
  readonly needs: Needs;
  readonly manifest: (ref: Ref) => Manifest;
  /** What the user does after creating it; resolves when the Workspace is where it has to be. */
  readonly live: (user: User, ref: Ref) => Promise<void>;
  /** Where it has to be then. */
  readonly end: 'Ready' | 'Succeeded' | 'gone';
}

/** A user of the cluster: asks until he is answered. */
export class User {
  readonly #scene: Scene;
  readonly #temporal: Client;
  readonly #signal: AbortSignal;

  constructor(scene: Scene, temporal: Client, signal: AbortSignal) {
    this.#scene = scene;
    this.#temporal = temporal;
    this.#signal = signal;
  }

  async create(manifest: Manifest): Promise<void> {
    await this.#insist(() => this.#scene.client.create(RESOURCES.workspaces, manifest)).catch((error: unknown) => {
      // The answer to the first try was lost.
      if (!isAlreadyExists(error)) throw error;
    });
  }

  async patch(ref: Ref, patch: object): Promise<void> {
    await this.#insist(() => this.#scene.client.patch(RESOURCES.workspaces, ref, patch));
  }

  async delete(ref: Ref): Promise<void> {
    await this.#insist(() => this.#scene.client.delete(RESOURCES.workspaces, ref));
  }

  async cancel(ref: Ref): Promise<void> {
    await this.#insist(() => this.#temporal.workflow.getHandle(workflowIdOf(ref)).cancel()).catch((error: unknown) => {
      // The answer to the first try was lost, and its run has ended by it.
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    });
  }

  /** Resolves with the Workspace once that holds of it. */
  when(ref: Ref, holds: (workspace: Workspace) => boolean): Promise<Workspace> {
    return this.#scene.until(() => {
      const workspace = this.#scene.get('workspaces', ref);
      return workspace !== undefined && holds(workspace) && workspace;
    }, this.#signal);
  }

  async gone(ref: Ref, uid: string): Promise<void> {
    await this.#scene.until(() => this.#scene.get('workspaces', ref)?.metadata.uid !== uid, this.#signal);
  }

  /** Resolves when it has a machine, or more of them. */
  async hasMachine(ref: Ref): Promise<void> {
    await this.#scene.until(() => this.#scene.claimsOf(ref).length > 0, this.#signal);
  }

  #insist<T>(ask: () => Promise<T>): Promise<T> {
    return insist(ask, this.#signal);
  }
}

/** As the status has to say it for the present generation. */
export function isReady({ metadata, status }: Workspace): boolean {
  return (
    status?.state === 'Ready' && status.step?.name === 'Ready' && status.observedGeneration === metadata.generation
  );
}

export function isSucceeded({ metadata, status }: Workspace): boolean {
  return status?.step?.name === 'Succeeded' && status.observedGeneration === metadata.generation;
}

export function isCancelled({ status }: Workspace): boolean {
  return status?.step?.name === 'Cancelled';
}

const ONE = { nodeClaims: 1, statefulSets: 1, jobs: 0, trainings: 0, machinesAtOnce: 1 };
const TUNING = { nodeClaims: 1, statefulSets: 0, jobs: 2, trainings: 1, machinesAtOnce: 1 };

const untilReady = async (user: User, ref: Ref): Promise<void> => void (await user.when(ref, isReady));

/** Cancels it in Temporal, sees that it is cancelled, and asks for a retry. */
async function cancelAndResume(user: User, ref: Ref): Promise<void> {
  await user.cancel(ref);
  await user.when(ref, isCancelled);
  await user.patch(ref, { metadata: { annotations: { [ANNOTATION_RETRY]: 'again' } } });
}

/** What each life is. */
export const LIFE: Readonly<Record<LifeName, Life>> = {
  serves: { life: 'serves', needs: ONE, manifest: inference, live: untilReady, end: 'Ready' },
  grows: {
    life: 'grows',
    needs: { ...ONE, nodeClaims: 2, machinesAtOnce: 2 },
    manifest: (ref) => ({
      ...inference(ref),
      resource: resource(ref, 'Standard_NV36ads_A10_v5'),
      inference: { preset: { name: 'phi-4' } },
    }),
    live: untilReady,
    end: 'Ready',
  },
  changes: {
    life: 'changes',
    needs: ONE,
    manifest: inference,
    live: async (user, ref) => {
      await user.when(ref, isReady);
      const adapters = [{ source: { name: 'tone', image: 'example.com/tone:1' }, strength: '0.5' }];
      await user.patch(ref, { inference: { adapters } });
      await user.when(ref, (one) => one.metadata.generation > 1 && isReady(one));
    },
    end: 'Ready',
  },
  tunes: {
    life: 'tunes',
    needs: TUNING,
    manifest: tuning,
    live: async (user, ref) => void (await user.when(ref, isSucceeded)),
    end: 'Succeeded',
  },
  resumes: {
    life: 'resumes',
    needs: { ...ONE, nodeClaims: 2, statefulSets: 2 },
    manifest: inference,
    live: async (user, ref) => {
      await user.hasMachine(ref);
      await cancelAndResume(user, ref);
      await user.when(ref, isReady);
    },
    end: 'Ready',
  },
  'tunes-again': {
    life: 'tunes-again',
    needs: { ...TUNING, nodeClaims: 2, jobs: 4, trainings: 2 },
    manifest: tuning,
    live: async (user, ref) => {
      await user.hasMachine(ref);
      await cancelAndResume(user, ref);
      await user.when(ref, isSucceeded);
    },
    end: 'Succeeded',
  },
  leaves: {
    life: 'leaves',
    needs: ONE,
    manifest: inference,
    live: async (user, ref) => {
      const { metadata } = await user.when(ref, () => true);
      await user.hasMachine(ref);
      await user.delete(ref);
      await user.gone(ref, metadata.uid);
    },
    end: 'gone',
  },
  returns: {
    life: 'returns',
    needs: { ...ONE, nodeClaims: 2, statefulSets: 2 },
    manifest: inference,
    live: async (user, ref) => {
      const { metadata } = await user.when(ref, isReady);
      await user.delete(ref);
      await user.gone(ref, metadata.uid);
      await user.create(inference(ref));
      await user.when(ref, (one) => one.metadata.uid !== metadata.uid && isReady(one));
    },
    end: 'Ready',
  },
};

function resource({ name }: Ref, instanceType: string) {
  return { instanceType, labelSelector: { matchLabels: { apps: name } } };
}

function inference(ref: Ref): Manifest & { readonly inference: object } {
  return {
    apiVersion: 'kaito.sh/v1beta1',
    kind: 'Workspace',
    metadata: { ...ref },
    resource: resource(ref, 'Standard_NC24ads_A100_v4'),
    inference: { preset: { name: 'phi-4-mini-instruct' } },
  } as Manifest & { readonly inference: object };
}

function tuning(ref: Ref): Manifest {
  return {
    apiVersion: 'kaito.sh/v1beta1',
    kind: 'Workspace',
    metadata: { ...ref },
    resource: resource(ref, 'Standard_NC24ads_A100_v4'),
    tuning: {
      preset: { name: 'phi-4-mini-instruct' },
      method: 'lora',
      input: { volumeSource: { emptyDir: {} } },
      output: { image: imageOf(ref), imagePushSecret: 'push' },
    },
  } as Manifest;
}
