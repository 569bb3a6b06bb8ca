import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Workspace } from '../../api/workspace';
import { ensureClaim } from '../../activities/tuning/results-claim';
import { connect, type KubernetesClient } from '../../kubernetes/client';
import { RESOURCES } from '../../kubernetes/resources';
import { PRODUCT_MANIFESTS } from '../../local/defaults';
import { down, startComponent, stopComponent, up } from '../../local/environment';
import { outputClaim } from '../../manifests/tuning/output-claim';
import { tuning } from '../e2e/tuning-support';

/** On a control plane of its own, whose garbage collector can be stopped: it would be quicker. */
const COLLECTOR = 'kube-controller-manager';
const CLAIM = { name: 'w-results', storageClassName: 'kept', sizeGiB: 10 };
const AT = { namespace: 'default', name: CLAIM.name };
const PATIENCE_MS = 30_000;

let dir: string;
let client: KubernetesClient;

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'kaito-claim-'));
  const parts = { kubernetes: true, karpenter: false, temporal: false } as const;
  const { kubeconfig } = await up({ dir, parts, lifetime: 'owner', manifestFolders: PRODUCT_MANIFESTS });
  if (kubeconfig === undefined) throw new Error('the environment lacks its control plane');
  client = connect({ kubeconfig });
}, 120_000);
afterAll(async () => {
  await client.close();
  await down(dir);
  await rm(dir, { recursive: true, force: true });
}, 60_000);

it('a claim that the garbage collector missed is removed, and made anew when the real server has let it go', async () => {
  const { metadata } = await client.create(RESOURCES.workspaces, {
    apiVersion: 'kaito.sh/v1beta1',
    kind: 'Workspace',
    ...tuning('default', 'w'),
  });
  const workspace = (await client.get(RESOURCES.workspaces, { namespace: 'default', name: 'w' })) as Workspace;
  const former = { ...workspace, metadata: { ...workspace.metadata, uid: crypto.randomUUID() } };
  const { signal } = new AbortController();
  const ensure = () => ensureClaim({ client }, workspace, CLAIM, { signal, event: () => undefined });

  await stopComponent(dir, COLLECTOR);
  const left = await client.apply(
    RESOURCES.persistentVolumeClaims,
    outputClaim({ workspace: former, claim: { ...CLAIM, sizeGiB: 5 } }),
  );
  // Its finalizer is Kubernetes' own: a claim is not taken from under a pod.
  await expect(ensure()).rejects.toMatchObject({
    failure: { cause: 'Conflict', message: 'PersistentVolumeClaim w-results is being deleted' },
  });
  expect(await client.get(RESOURCES.persistentVolumeClaims, AT)).toMatchObject({
    metadata: { uid: left.metadata.uid, deletionTimestamp: expect.any(String) as string },
  });

  await startComponent(dir, COLLECTOR);
  for (const end = Date.now() + PATIENCE_MS; ; await delay(200)) {
    const isMade = await ensure().catch((error: unknown) => {
      if (Date.now() > end) throw error;
      return undefined;
    });
    if (isMade === undefined) continue;
    expect(isMade).toBe(true);
    break;
  }
  expect(await client.get(RESOURCES.persistentVolumeClaims, AT)).toMatchObject({
    metadata: { ownerReferences: [{ uid: metadata.uid }] },
    spec: { resources: { requests: { storage: '10Gi' } } },
  });
}, 120_000);
