/**
 * One process's conversation with the coordinator. Whatever its Workspaces want to say travels together, one exchange after the other, and is said
 * again until it was heard. While a lease is held or waited for, the session speaks often enough to stay alive.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import type { Ask, CoordinatorSettings, Exchange, ExchangeAnswer, LeaseState } from '../../../../api/coordination';
import type { Logger } from '../../../../kubernetes/logger';
import { contentOf, emptyOutbox, isEmpty, putBack, type Outbox } from './outbox';
import type { Transport } from './transport';

/** A session that loses two messages is still alive. */
const SPEAKS_PER_LEASE = 3;

const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 5_000;

/** A lease of this process. */
export interface Held {
  readonly ask: Ask;
  /** `asking` for a place; `admitted`; there, `wanting` to send a PUT. */
  phase: 'asking' | 'admitted' | 'wanting';
  waiter?: { readonly resolve: (state: LeaseState) => void; readonly reject: (error: unknown) => void };
}

export interface Session {
  readonly name: string;
  /** By lease. */
  readonly held: Map<string, Held>;
  /** Changes what is said next; resolves when it was heard, rejects when it was refused. */
  say(change: (outbox: Outbox) => void): Promise<void>;
  /** Says what is left, for at most `patienceMs`; whoever waits is rejected. */
  close(patienceMs: number): Promise<void>;
}

export interface SessionOptions {
  readonly name: string;
  readonly transport: Transport;
  readonly settings: CoordinatorSettings;
  readonly logger: Logger;
}

export function openSession({ name, transport, settings, logger }: SessionOptions): Session {
  const held = new Map<string, Held>();
  const closing = new AbortController();
  let outbox = emptyOutbox();
  let number = 0;
  let hasJoined = false;
  let conversation: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  /** Says what there is to say, until nothing is left; then waits. */
  async function converse(): Promise<void> {
    clearTimeout(timer);
    let askAgainMs: number | undefined;
    do {
      const box = outbox;
      outbox = emptyOutbox();
      try {
        const answer = await deliver(messageOf(box));
        hasJoined = answer.kind === 'answered';
        if (answer.kind === 'unknown') {
          putBack(outbox, box);
          continue;
        }
        for (const { resolve } of box.told) resolve();
        follow(answer.leases);
        askAgainMs = answer.askAgainMs;
      } catch (error) {
        fail(box, error);
      }
    } while (!closing.signal.aborted && (!isEmpty(outbox) || (!hasJoined && held.size > 0)));
    if (closing.signal.aborted) fail(outbox, closing.signal.reason);
    else if (held.size > 0)
      timer = setTimeout(speak, Math.min(askAgainMs ?? Infinity, settings.leaseMs / SPEAKS_PER_LEASE));
  }

  function speak(): void {
    conversation ??= converse().finally(() => {
      conversation = undefined;
      if (!isEmpty(outbox) && !closing.signal.aborted) speak();
    });
  }

  function messageOf(box: Outbox): Exchange {
    number += 1;
    const said = { session: name, number };
    if (hasJoined) return { ...said, ...contentOf(box) };
    // To a coordinator that knows nothing of this process everything is said.
    const all = [...held.values()];
    const asks = all.map(({ ask, phase }): Ask => (phase === 'asking' ? ask : { ...ask, holds: true }));
    const wants = all.filter(({ phase }) => phase === 'wanting').map(({ ask }) => ask.lease);
    return { ...said, joins: settings, ...contentOf({ ...box, released: [], used: [], asks, wants }) };
  }

  /** The coordinator applies a message at most once, so it is sent until there is an answer. */
  async function deliver(said: Exchange): Promise<ExchangeAnswer> {
    for (let retryMs = FIRST_RETRY_MS; ; retryMs = Math.min(2 * retryMs, LAST_RETRY_MS)) {
      closing.signal.throwIfAborted();
      try {
        return await transport.exchange(said, closing.signal);
      } catch (error) {
        if (closing.signal.aborted || error instanceof WorkflowUpdateFailedError) throw error;
        logger.warn('the coordinator of pools does not answer; it is asked again', { session: name, error });
        await delay(retryMs, undefined, { signal: closing.signal });
      }
    }
  }

  function follow(leases: readonly LeaseState[]): void {
    const states = new Map(leases.map((state) => [state.lease, state]));
    for (const [lease, one] of held) {
      const state = states.get(lease);
      if (state !== undefined) followLease(one, state);
      else if (one.phase === 'wanting') overtake(held, lease);
    }
  }

  function followLease(one: Held, state: LeaseState): void {
    const { lease } = state;
    switch (state.kind) {
      case 'admitted':
        if (one.phase !== 'asking') return;
        break;
      case 'allowed':
        if (one.phase !== 'wanting') return;
        outbox.used.push(lease);
        break;
      case 'avoid':
        if (one.phase === 'admitted') return;
        held.delete(lease);
        outbox.released.push(lease);
        break;
    }
    one.phase = 'admitted';
    one.waiter?.resolve(state);
  }

  /** The coordinator refused a message, or the session ends: nobody waits for what won't come. */
  function fail(box: Outbox, error: unknown): void {
    if (!closing.signal.aborted) logger.error('the coordinator of pools refused', { session: name, error });
    hasJoined = false;
    for (const { reject } of box.told) reject(error);
    for (const { waiter } of held.values()) waiter?.reject(error);
    held.clear();
  }

  return {
    name,
    held,
    say(change) {
      if (closing.signal.aborted) return Promise.reject(closed());
      const heard = new Promise<void>((resolve, reject) => outbox.told.push({ resolve, reject }));
      change(outbox);
      // What is asked in one go travels together.
      if (conversation === undefined) setImmediate(speak);
      return heard;
    },
    async close(patienceMs) {
      if (closing.signal.aborted) return;
      for (const { waiter } of held.values()) waiter?.reject(closed());
      held.clear();
      clearTimeout(timer);
      if (conversation === undefined && !isEmpty(outbox)) speak();
      const patience = setTimeout(() => closing.abort(closed()), patienceMs);
      await conversation;
      clearTimeout(patience);
      closing.abort(closed());
    },
  };
}

/** Another request for the same Workspace took its place. */
export function overtake(held: Map<string, Held>, lease: string): void {
  const one = held.get(lease);
  held.delete(lease);
  one?.waiter?.reject(new Error(`a later request took over the place of ${one.ask.workspace}`));
}

function closed(): Error {
  return new Error('the coordinator of pools was closed');
}
