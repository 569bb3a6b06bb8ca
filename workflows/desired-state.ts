/**
 * What the outside world asked of a Workspace's workflow, in the order it arrived.
 */
import { condition, defineSignal, setHandler } from '@temporalio/workflow';
import { LOOK_SIGNAL, RETRY_SIGNAL, type Look } from '../api/workflow';

export const look = defineSignal<[Look]>(LOOK_SIGNAL);
export const retry = defineSignal(RETRY_SIGNAL);

const DEFAULT_HEARTBEAT_TIMEOUT_MS = 20_000;

export interface DesiredState {
  /** Grows with every request that is worth converging for. */
  readonly version: number;
  /** Grows with what a person asked for: a new spec, a retry, deletion; not with what the bridge noticed about objects. */
  readonly wishes: number;
  /** The life that was observed last is to be deleted: there is nothing to plan. */
  readonly isDeleted: boolean;
  /** Of the steps that begin now, as the last look said. */
  readonly heartbeatTimeoutMs: number;
  /** What is being converged on; requests that it already covers are not worth a new round. */
  observe(life: Life): void;
  /** What was observed is released: the next life of the name starts from nothing. */
  forget(): void;
  /** Resolves when something was asked after `version`, or after `timeoutMs`; true if something was asked. */
  askedAfter(version: number, timeoutMs?: number): Promise<boolean>;
}

/** Registers the signals and follows them. */
export function followDesiredState(): DesiredState {
  let version = 0;
  let wishes = 0;
  let observed: Life | undefined;
  let latest: Life | undefined;
  let deletedUid: string | undefined;
  let heartbeatTimeoutMs = DEFAULT_HEARTBEAT_TIMEOUT_MS;

  setHandler(look, (request) => {
    heartbeatTimeoutMs = request.heartbeatTimeoutMs ?? heartbeatTimeoutMs;
    // Of a life that is known to be deleted nothing more is asked.
    if (request.uid === deletedUid && request.reason !== 'gone') return;
    switch (request.reason) {
      case 'generation':
      case 'resync':
        // The very first look only says what the first plan will read anyway; `observe` compares the two.
        if (latest !== undefined && !covers(observed ?? latest, request)) {
          version += 1;
          wishes += 1;
        }
        latest = { uid: request.uid, generation: request.generation };
        break;
      case 'deleted':
        // It may come late: of another life than the observed one only the plan can tell.
        version += 1;
        wishes += 1;
        deletedUid = request.uid;
        latest = { uid: request.uid, generation: request.generation };
        break;
      case 'retry':
      case 'gone':
        version += 1;
        wishes += 1;
        break;
      case 'objects':
      case 'references':
        version += 1;
        break;
    }
  });
  setHandler(retry, () => {
    version += 1;
    wishes += 1;
  });

  return {
    get version() {
      return version;
    },
    get wishes() {
      return wishes;
    },
    get isDeleted() {
      return observed !== undefined && observed.uid === deletedUid;
    },
    get heartbeatTimeoutMs() {
      return heartbeatTimeoutMs;
    },
    observe(life) {
      const wasFirst = observed === undefined;
      observed = life;
      if (wasFirst && latest !== undefined && !covers(life, latest)) version += 1;
    },
    forget() {
      observed = undefined;
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
