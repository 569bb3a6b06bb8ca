import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

import { NODE_CLASS, NODE_POOL, down, startComponent, status, stopComponent, up } from '../../local/environment';
import { useEnvironment } from '../environment';
import { processesOf } from '../processes';

const exec = promisify(execFile);
const shared = useEnvironment();
const [KUBECTL, TEMPORAL] = ['kubectl', 'temporal'].map((name) => path.join(shared.bin, name)) as [string, string];

const freshFolder = () => mkdtemp(path.join(tmpdir(), 'kaito-test-local-'));

async function kubectl(...args: string[]): Promise<string> {
  const { stdout } = await exec(KUBECTL, args, { env: { ...process.env, ...shared.variables } });
  return stdout;
}

async function apply(object: object): Promise<void> {
  const child = spawn(KUBECTL, ['apply', '-f', '-'], {
    env: { ...process.env, ...shared.variables },
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  child.stdin.end(JSON.stringify(object));
  const [code] = (await once(child, 'exit')) as [number];
  expect(code).toBe(0);
}

function nodeClaim(name: string, instanceType: string, gpus: number): object {
  return {
    apiVersion: 'karpenter.sh/v1',
    kind: 'NodeClaim',
    metadata: { name, labels: { 'karpenter.sh/nodepool': NODE_POOL, 'kaito.sh/workspace': name } },
    spec: {
      expireAfter: 'Never',
      nodeClassRef: NODE_CLASS,
      requirements: [{ key: 'node.kubernetes.io/instance-type', operator: 'In', values: [instanceType] }],
      resources: { requests: { 'nvidia.com/gpu': String(gpus) } },
    },
  };
}

async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`still not so: ${what}`);
    await delay(50);
  }
}

const exists = (file: string) =>
  access(file).then(
    () => true,
    () => false,
  );

describe('the simulated machines', () => {
  it.each([
    ['Standard_NC6s_v3', 1],
    ['Standard_ND96asr_v4', 8],
  ])('turns a NodeClaim for %s into a ready node with %d GPUs, and takes it away again', async (instanceType, gpus) => {
    const name = `claim-${instanceType.toLowerCase().replaceAll(/[^a-z0-9]/g, '-')}`;

    await apply(nodeClaim(name, instanceType, gpus));
    await kubectl('wait', '--for=condition=Ready', `nodeclaim/${name}`, '--timeout=30s');

    const nodes = JSON.parse(await kubectl('get', 'nodes', '-l', `kaito.sh/workspace=${name}`, '-o', 'json')) as {
      items: { metadata: { labels: Record<string, string> }; status: { allocatable: Record<string, string> } }[];
    };
    expect(nodes.items).toHaveLength(1);
    expect(nodes.items[0]?.status.allocatable['nvidia.com/gpu']).toBe(String(gpus));
    expect(nodes.items[0]?.metadata.labels['node.kubernetes.io/instance-type']).toBe(instanceType);

    await kubectl('delete', 'nodeclaim', name, '--timeout=50s'); // returns when it is really gone
    expect(await kubectl('get', 'nodes', '-l', `kaito.sh/workspace=${name}`, '-o', 'name')).toBe('');
  });

  it('buys nothing for a pending pod by itself', async () => {
    const refused = 'exceed limits for nodepool';
    await apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'wants-a-gpu' },
      spec: {
        containers: [{ name: 'c', image: 'none', resources: { limits: { 'nvidia.com/gpu': '1' } } }],
        tolerations: [{ operator: 'Exists' }],
        nodeSelector: { 'karpenter.sh/nodepool': NODE_POOL },
      },
    });

    // Karpenter has looked at the pod and says why it does nothing.
    await eventually('Karpenter refused the pod', async () =>
      (
        await kubectl(
          'get',
          'events',
          '--field-selector=involvedObject.name=wants-a-gpu',
          '-o',
          'jsonpath={.items[*].message}',
        )
      ).includes(refused),
    );

    // Those it makes by itself are named after the pool.
    expect(await kubectl('get', 'nodeclaims', '-o', 'name')).not.toContain(`/${NODE_POOL}-`);
    await kubectl('delete', 'pod', 'wants-a-gpu', '--force', '--grace-period=0');
  });
});

describe('an environment', () => {
  it('runs beside another one, and is gone without a trace after down', async () => {
    const dir = await freshFolder();

    const other = await up({ dir, parts: { karpenter: false } });

    const namespaces = await exec(KUBECTL, ['get', 'namespaces', '-o', 'name'], {
      env: { ...process.env, ...other.variables },
    });
    expect(namespaces.stdout).toContain('namespace/default');
    expect(other.temporal?.address).not.toBe(shared.temporal.address);
    expect(await processesOf(dir)).not.toEqual([]);
    await down(dir);
    expect(await processesOf(dir)).toEqual([]);
    expect(await exists(dir)).toBe(false);
    expect((await status(shared.dir))?.components.every(({ state }) => state === 'ready')).toBe(true);
  });

  it('is told as it is after a crash, and completed by the next up', async () => {
    const dir = await freshFolder();
    const parts = { kubernetes: false, temporal: 'file' } as const;
    const before = await up({ dir, parts });

    await stopComponent(dir, 'temporal', 'SIGKILL');

    const log = path.join(dir, 'logs', 'temporal.log');
    expect((await status(dir))?.components).toMatchObject([{ name: 'temporal', state: 'ended', log }]);
    await startComponent(dir, 'temporal');
    expect((await status(dir))?.components.map(({ state }) => state)).toEqual(['ready']);
    await stopComponent(dir, 'temporal', 'SIGSTOP');
    expect((await status(dir))?.components.map(({ state }) => state)).toEqual(['not ready']);
    await startComponent(dir, 'temporal');
    expect(await up({ dir })).toEqual(before);
    await down(dir);
    expect(await processesOf(dir)).toEqual([]);
  });

  it('says what a component that does not start has logged, and leaves no process', async () => {
    const dir = await freshFolder();
    const taken = Number(shared.temporal.address.split(':')[1]);
    await up({ dir, parts: { kubernetes: false } });
    await down(dir, { keepData: true });
    const stateFile = path.join(dir, 'state.json');
    const state = JSON.parse(await readFile(stateFile, 'utf8')) as { ports: Record<string, number> };
    await writeFile(stateFile, JSON.stringify({ ...state, ports: { ...state.ports, temporal: taken } }));

    await expect(up({ dir })).rejects.toThrow(/temporal ended while starting[^]*(already in use|can't use port)/i);

    expect(await processesOf(dir)).toEqual([]);
    await down(dir);
  });

  it('ends with its owner, even when the owner is killed', async () => {
    const dir = await freshFolder();
    const script = `
      const { up } = require(${JSON.stringify(path.resolve(__dirname, '../../local/environment.ts'))});
      up({ dir: ${JSON.stringify(dir)}, parts: { kubernetes: false }, lifetime: 'owner' }).then(() => console.log('up'));
      setInterval(() => undefined, 1000);`;
    const owner = spawn(process.execPath, ['--import', 'tsx', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(owner.stdout, 'data');
    expect(await processesOf(dir)).not.toEqual([]);

    owner.kill('SIGKILL');

    await eventually('nothing of it runs', async () => (await processesOf(dir)).length === 0);
    expect(await exists(dir)).toBe(false);
  });

  it('keeps what Temporal holds in a file over down and up', async () => {
    const dir = await freshFolder();
    const temporal = (env: Readonly<Record<string, string>>, ...args: string[]) =>
      exec(TEMPORAL, args, { env: { ...process.env, ...env } });
    const first = await up({ dir, parts: { kubernetes: false, temporal: 'file' } });
    await temporal(first.variables, 'operator', 'namespace', 'create', 'kept');

    await down(dir, { keepData: true });
    const second = await up({ dir });

    expect((await temporal(second.variables, 'operator', 'namespace', 'describe', 'kept')).stdout).toContain('kept');
    await down(dir);
    expect(await readdir(path.dirname(dir))).not.toContain(path.basename(dir));
  });
});
