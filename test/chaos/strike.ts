/** Injects a fault, and takes it back. */
import { setTimeout as delay } from 'node:timers/promises';

import type { KubernetesClient } from '../../kubernetes/client';
import { isConflict, isNotFound } from '../../kubernetes/errors';
import { findCondition, type Node } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import type { Fault } from './faults';
import type { Random } from './random';
import type { Rig } from './rig';
import { insist, isReadyNode, type Ref, type Scene } from './scene';

export interface Strike {
  readonly rig: Rig;
  readonly scene: Scene;
  readonly random: Random;
  /** Whose machines are to suffer, where the fault is about machines. */
  readonly subject: Ref;
  /** Told when the fault begins to bite. */
  readonly onStruck: () => void;
  readonly signal: AbortSignal;
}

/** A fault other than a kill at a moment; resolves when it is over and all is at work again. */
export async function strike(fault: Exclude<Fault, { kind: 'kill' }>, options: Strike): Promise<void> {
  const { rig, random, onStruck, signal } = options;
  const pause = (ms: number): Promise<void> => delay(ms, undefined, { signal });
  switch (fault.kind) {
    case 'kill-many':
      for (const { targets, afterMs } of fault.kills) {
        await pause(afterMs);
        onStruck();
        await Promise.all(targets.map((target) => rig.kill(target)));
        await rig.restore();
      }
      return;
    case 'partition': {
      await pause(fault.afterMs);
      const wire = rig.wires[fault.wire];
      onStruck();
      wire.cut(fault.cut);
      const second = fault.takenOver ? await rig.secondWorker() : undefined;
      await pause(fault.lastsMs);
      wire.mend();
      if (second !== undefined) {
        // Both are there for a moment; then the second one goes as workers go in a roll-out.
        await second.stop();
      }
      await rig.restore();
      return;
    }
    case 'api':
      onStruck();
      for (const api of Object.values(rig.apis)) api.trouble(fault.trouble, random);
      await pause(fault.lastsMs);
      for (const api of Object.values(rig.apis)) api.trouble(undefined, random);
      await rig.restore();
      return;
    case 'clock-skew':
      return skew(fault, options);
  }
}

/** The subject's first usable node says that it isn't ready, by a clock that is off, and its lease was renewed by that clock. */
async function skew(
  { byMs, lastsMs }: Extract<Fault, { kind: 'clock-skew' }>,
  { rig: { client }, scene, subject, onStruck, signal }: Strike,
): Promise<void> {
  const node = await scene.until(
    () =>
      scene
        .claimsOf(subject)
        .filter((claim) => findCondition(claim, 'Initialized')?.status === 'True')
        .map(({ status }) => scene.get('nodes', { name: status?.nodeName ?? '' }))
        .find(isReadyNode),
    signal,
  );
  const { name } = node.metadata;
  onStruck();
  // KWOK lets go of the node meanwhile, or it would say at once that the node is ready.
  await annotate(client, name, null, signal);
  const time = new Date(Date.now() + byMs).toISOString();
  await gone(insist(() => client.patchStatus(RESOURCES.nodes, { name }, { status: notReady(node, time) }), signal));
  const renewTime = time.replace('Z', '000Z');
  const lease = { namespace: 'kube-node-lease', name };
  await gone(insist(() => client.patch(RESOURCES.leases, lease, { spec: { renewTime } }), signal));
  await delay(lastsMs, undefined, { signal });
  await annotate(client, name, 'fake', signal);
}

function notReady({ status }: Node, time: string): object {
  const ready = {
    type: 'Ready',
    status: 'False',
    reason: 'KubeletNotReady',
    message: 'clock is off',
    lastHeartbeatTime: time,
    lastTransitionTime: time,
  };
  return { conditions: [...(status?.conditions ?? []).filter(({ type }) => type !== 'Ready'), ready] };
}

async function annotate(
  client: KubernetesClient,
  name: string,
  value: string | null,
  signal: AbortSignal,
): Promise<void> {
  const patch = { metadata: { annotations: { 'kwok.x-k8s.io/node': value } } };
  await gone(insist(() => client.patch(RESOURCES.nodes, { name }, patch), signal));
}

/** A machine may be released at that very moment; then there is nothing to do to it. */
async function gone(change: Promise<unknown>): Promise<void> {
  try {
    await change;
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}
