/**
 * What the outside world asked of a Workspace's workflow, in the order it arrived.
 */
import { condition, defineSignal, setHandler } from '@temporalio/workflow';
import { LOOK_SIGNAL, RETRY_SIGNAL, type Look } from '../api/workflow';

export const look = defineSignal<[Look]>(LOOK_SIGNAL);
export const retry = defineSignal(RETRY_SIGNAL);

export interface DesiredState {
  /** Grows with every request that is worth converging for. */
  readonly version: number;
  /** The newest life that was heard of is to be deleted: there is nothing to plan. */
  readonly isDeleted: boolean;
  /** A retry was asked for since {@link observe} was last called. */
  readonly retryAsked: boolean;
  /** What is being converged on; requests that it already covers are not worth a new round. */
  observe(life: Life): void;
  /** Resolves when something was asked after `version`, or after `timeoutMs`; true if something was asked. */
  askedAfter(version: number, timeoutMs?: number): Promise<boolean>;
}

/** Registers the signals and follows them. */
export function followDesiredState(): DesiredState {
  let version = 0;
  let retryAsked = false;
  let observed: Life | undefined;
  let latest: Life | undefined;
  let deletedUid: string | undefined;

  setHandler(look, (request) => {
    switch (request.reason) {
      case 'generation':
      case 'resync':
        // The very first look only says what the first plan will read anyway; `observe` compares the two.
        if (latest !== undefined && !covers(observed ?? latest, request)) version += 1;
        latest = { uid: request.uid, generation: request.generation };
        break;
      case 'deleted':
        latest = { uid: request.uid, generation: request.generation };
        if (deletedUid !== request.uid) version += 1;
        deletedUid = request.uid;
        break;
      case 'retry':
      case 'objects':
      case 'references':
      case 'gone':
        version += 1;
        break;
    }
  });
  setHandler(retry, () => {
    version += 1;
    retryAsked = true;
  });

  return {
    get version() {
      return version;
    },
    get isDeleted() {
      return deletedUid !== undefined && deletedUid === latest?.uid;
    },
    get retryAsked() {
      return retryAsked;
    },
    observe(life) {
      const wasFirst = observed === undefined;
      observed = life;
      retryAsked = false;
      if (wasFirst && latest !== undefined && !covers(life, latest)) version += 1;
    },
    async askedAfter(since, timeoutMs) {
      if (timeoutMs !== undefined) return condition(() => version > since, timeoutMs);
      await condition(() => version > since);
      return true;
    },
  };
}

interface Life {
  readonly uid: string;
  readonly generation: number;
}

function covers(observed: Life, asked: Life): boolean {
  return asked.uid === observed.uid && asked.generation <= observed.generation;
}
