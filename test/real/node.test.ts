import { execFile } from 'node:child_process';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

import { down, startComponent, status, stopComponent, up } from '../../local/environment';
import { pushImage } from '../../local/images';
import { getPrograms } from '../../local/programs';
import { processesOf } from '../processes';
import { useRealStage } from './stage';

const exec = promisify(execFile);
const real = useRealStage('node');
const NAMESPACE = 'on-the-node';

beforeAll(async () => {
  await cluster('create', 'namespace', NAMESPACE);
  real().stage.defer(() => cluster('delete', 'namespace', NAMESPACE, '--timeout=60s'));
});

async function cluster(...args: string[]): Promise<string> {
  const { environment } = real();
  const { stdout } = await exec(path.join(environment.bin, 'kubectl'), args, {
    env: { ...process.env, ...environment.variables },
  });
  return stdout;
}

const kubectl = (...args: string[]) => cluster('--namespace', NAMESPACE, ...args);

const apply = (object: object) => real().stage.kubectl(NAMESPACE, ['apply', '-f', '-'], JSON.stringify(object));

/** A pod of the image with common tools, on the real node; applied, and waited for until it is ready. */
async function pod(name: string, script: string, more: { spec?: object; container?: object } = {}): Promise<void> {
  const { environment, images } = real();
  await apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      nodeSelector: environment.realNode.labels,
      terminationGracePeriodSeconds: 1,
      securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
      containers: [{ name: 'it', image: images.tools.name, command: ['sh', '-c', script], ...more.container }],
      ...more.spec,
    },
  });
  await kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=45s');
}

const inPod = (name: string, ...command: string[]) => kubectl('exec', name, '--', ...command);

/** A Service that is new refuses until kube-proxy has heard of its pods. */
const CURL_OPTIONS = '--silent --show-error --fail --max-time 5 --retry 5 --retry-connrefused'.split(' ');
const curl = ['curl', ...CURL_OPTIONS];

describe('a pod on the real node', () => {
  beforeAll(async () => {
    await pod('server', 'echo it listens; cd /tmp; echo a page > index.html; exec python3 -m http.server 5000', {
      container: {
        readinessProbe: { httpGet: { path: '/', port: 5000 }, periodSeconds: 1 },
        resources: { limits: { 'nvidia.com/gpu': '1' } },
      },
    });
    await pod('client', 'exec sleep infinity');
    const ports = [{ port: 80, targetPort: 5000 }];
    await apply({
      kind: 'Service',
      apiVersion: 'v1',
      metadata: { name: 'server' },
      spec: { selector: { app: 'server' }, ports },
    });
  }, 120_000);

  const serviceIp = () => kubectl('get', 'service', 'server', '-o', 'jsonpath={.spec.clusterIP}');
  const podIp = () => kubectl('get', 'pod', 'server', '-o', 'jsonpath={.status.podIP}');

  it('is asked by its address and by its Service, from another pod, from itself and from this machine', async () => {
    for (const url of [`http://${await podIp()}:5000/`, `http://${await serviceIp()}/`]) {
      expect(await inPod('client', ...curl, url)).toBe('a page\n');
      expect(await inPod('server', ...curl, url)).toBe('a page\n');
      expect((await exec('curl', [...CURL_OPTIONS, url])).stdout).toBe('a page\n');
    }
  });

  it('tells its log and runs commands through the API server', async () => {
    expect(await kubectl('logs', 'server')).toContain('it listens');
    expect(await inPod('server', 'sh', '-c', 'echo "$HOSTNAME"')).toBe('server\n');
  });

  it('reaches the API server with its service account, and the registry', async () => {
    const account = '/var/run/secrets/kubernetes.io/serviceaccount';
    const request = `${curl.join(' ')} --cacert ${account}/ca.crt -H "Authorization: Bearer $(cat ${account}/token)" https://$KUBERNETES_SERVICE_HOST/version`;
    expect(await inPod('client', 'sh', '-c', request)).toContain('gitVersion');
    const { host, credentials } = real().environment.realNode.registry;
    const user = `${credentials.username}:${credentials.password}`;
    expect(await inPod('client', ...curl, '--user', user, `http://${host}/v2/`)).toBe('{}');
    await expect(
      inPod('client', ...curl, '--user', `${credentials.username}:wrong`, `http://${host}/v2/`),
    ).rejects.toThrow('401');
  });

  it('has a volume of the default StorageClass that outlives it', async () => {
    await apply({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    });
    const withData = {
      spec: { volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }] },
      container: { volumeMounts: [{ name: 'data', mountPath: '/data' }] },
    };
    await pod('writer', 'echo kept > /data/file; exec sleep infinity', withData);
    await kubectl('delete', 'pod', 'writer', '--timeout=30s');

    await pod('reader', 'exec sleep infinity', withData);

    expect(await inPod('reader', 'cat', '/data/file')).toBe('kept\n');
  }, 120_000);
});

describe('the real node', () => {
  const gpus = () =>
    cluster('get', 'node', real().environment.realNode.name, '-o', 'jsonpath={.status.allocatable.nvidia\\.com/gpu}');

  it('still has its GPUs after its kubelet was started again', async () => {
    const before = await gpus();
    expect(Number(before)).toBeGreaterThan(0);

    await stopComponent(real().environment.dir, 'kubelet', 'SIGKILL');
    await startComponent(real().environment.dir, 'kubelet');

    expect(await gpus()).toBe(before);
  });

  it('is left alone by those who simulate machines', async () => {
    const node = JSON.parse(await cluster('get', 'node', real().environment.realNode.name, '-o', 'json')) as {
      metadata: { annotations: Record<string, string>; labels: Record<string, string> };
      status: { nodeInfo: { kubeletVersion: string } };
    };
    expect(Object.keys(node.metadata.annotations).filter((key) => /kwok|karpenter/.test(key))).toEqual([]);
    expect(Object.keys(node.metadata.labels).filter((key) => /kwok|karpenter/.test(key))).toEqual([]);
    expect(node.status.nodeInfo.kubeletVersion).toBe('v1.36.3');
  });

  it('keeps what its registry holds while that is down', async () => {
    const { dir, realNode } = real().environment;
    const { host, credentials } = realNode.registry;
    const programs = await getPrograms(['crane'], () => undefined);
    const crane = async (...args: string[]) =>
      (await exec(programs.crane.file, args, { env: { ...process.env, DOCKER_CONFIG: dockerConfig } })).stdout.trim();
    const dockerConfig = await mkdtemp(path.join(tmpdir(), 'kaito-test-docker-'));
    real().stage.defer(() => rm(dockerConfig, { recursive: true }));
    await crane('auth', 'login', host, '--username', credentials.username, '--password', credentials.password);
    const pushed = await pushImage(real().images.tools, realNode.registry, () => undefined);

    await stopComponent(dir, 'registry', 'SIGKILL');
    await expect(crane('digest', '--insecure', pushed)).rejects.toThrow('connection refused');
    await startComponent(dir, 'registry');

    expect(await crane('digest', '--insecure', pushed)).toBe(real().images.tools.digest);
  });
});

describe('an environment with a real node', () => {
  it('runs beside another one, survives the death of its node, and is gone without a trace after down', async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'kaito-test-node-'));
    const other = await up({ dir, parts: { karpenter: false, temporal: false, realNode: true }, lifetime: 'owner' });
    const address = other.realNode?.hostAddress ?? '';
    expect(address).not.toBe(real().environment.realNode.hostAddress);
    expect(await tracesOf(dir, address)).not.toEqual([]);

    await stopComponent(dir, 'node', 'SIGKILL');
    await up({ dir });
    expect((await status(dir))?.components.filter(({ state }) => state !== 'ready')).toEqual([]);
    await stopComponent(dir, 'node', 'SIGKILL');
    await down(dir);

    expect(await tracesOf(dir, address)).toEqual([]);
    // The environment's guardian sees by itself that there is nothing left to guard.
    expect(await endedProcessesOf(dir)).toEqual([]);
    await expect(access(dir)).rejects.toThrow('ENOENT');
    const { components = [] } = (await status(real().environment.dir)) ?? {};
    expect(components.filter(({ state }) => state !== 'ready')).toEqual([]);
  }, 180_000);
});

/** What this machine shows of a node outside the environment's folder: interfaces, routes, packet rules, mounts, control groups. */
async function tracesOf(dir: string, hostAddress: string): Promise<readonly string[]> {
  const block = hostAddress.split('.')[1] ?? '';
  const itsOwn = new RegExp(`${dir}|\\bkaito-(node-)?${block}\\b|\\b10\\.${block}\\.`);
  const anyNodes = /kubelet|containerd|var.volumes|kube-proxy|cni/;
  const shown = await Promise.all([
    exec('ip', ['-oneline', 'address']),
    exec('ip', ['route']),
    exec('nft', ['list', 'tables']),
    exec('findmnt', ['--list', '--noheadings', '--output', 'TARGET,SOURCE']),
    exec('find', ['/sys/fs/cgroup', '-maxdepth', '2', '-name', 'kaito-node-*']),
  ]);
  const folders = ['/var/lib/kubelet', '/var/log/pods', '/run/containerd', '/var/volumes'];
  const left = await Promise.all(
    folders.map((folder) =>
      access(folder).then(
        () => [folder],
        () => [],
      ),
    ),
  );
  const lines = shown.flatMap(({ stdout }) => stdout.split('\n'));
  return [...lines.filter((line) => itsOwn.test(line) || anyNodes.test(line)), ...left.flat()];
}

/** The processes that are still there after a while in which they could end. */
async function endedProcessesOf(dir: string): Promise<readonly string[]> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const left = await processesOf(dir);
    if (left.length === 0 || Date.now() > deadline) return left;
    await delay(100);
  }
}
