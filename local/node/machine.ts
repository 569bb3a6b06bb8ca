import { access, statfs } from 'node:fs/promises';
import path from 'node:path';

import { CATALOGUE } from '../programs/catalogue';
import { programCache } from '../programs';
import { run } from '../programs/run';
import { which } from '../programs/source';
import { machineCgroups } from './cgroups';

/** Something that a real node needs and this machine has not. */
export interface Lack {
  readonly what: string;
  readonly remedy: string;
  /** Debian's packages that bring it. */
  readonly packages?: readonly string[];
}

/** This machine cannot have a real node; the message lists all that is missing, each with its remedy. */
export class UnfitMachineError extends Error {
  constructor(lacks: readonly Lack[]) {
    const packages = [...new Set(lacks.flatMap((lack) => lack.packages ?? []))];
    super(
      [
        'This machine cannot have a real node:',
        ...lacks.map(({ what, remedy }) => `  - ${what}: ${remedy}`),
        ...(packages.length === 0 ? [] : [`All packages at once: apt-get install -y ${packages.join(' ')}`]),
      ].join('\n'),
    );
  }
}

const GIB = 2 ** 30;
/** The runtime image, unpacked, its archive, and some room for volumes. */
const DISK_BYTES = 20 * GIB;

/** Throws an UnfitMachineError unless this machine can have a real node. */
export async function assertFitMachine(): Promise<void> {
  const lacks = await findLacks();
  if (lacks.length > 0) throw new UnfitMachineError(lacks);
}

/** What of this machine is missing for a real node. Looks only; what it tries, it tries in namespaces that end with the try. */
export async function findLacks(): Promise<readonly Lack[]> {
  if (process.platform !== 'linux') {
    return [{ what: `it runs ${process.platform}`, remedy: 'use Linux, for example a virtual machine' }];
  }
  if (process.getuid?.() !== 0) {
    return [{ what: 'containers and network interfaces need root', remedy: 'run this as root' }];
  }
  const commands = await missingCommands();
  const kernel = commands.some(({ what }) => what.includes('unshare')) ? [] : await missingInKernel(commands);
  return [...commands, ...(await missingForBuild()), ...kernel, ...(await missingCgroups()), ...(await missingFiles())];
}

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  'util-linux': ['unshare', 'nsenter', 'mount'],
  iproute2: ['ip'],
  nftables: ['nft'],
  openssl: ['openssl'],
  'apache2-utils': ['htpasswd'],
  tar: ['tar'],
};

async function missingCommands(): Promise<readonly Lack[]> {
  const lacks: Lack[] = [];
  for (const [name, commands] of Object.entries(COMMANDS)) {
    for (const command of commands) {
      if ((await which(command)) === undefined) lacks.push(fromPackages(`the command ${command} is missing`, [name]));
    }
  }
  return lacks;
}

function fromPackages(what: string, packages: readonly string[]): Lack {
  return { what, remedy: `apt-get install -y ${packages.join(' ')}`, packages };
}

/** runc is C in part. One that is in the cache needs no compiler. */
async function missingForBuild(): Promise<readonly Lack[]> {
  const { name, version } = CATALOGUE.runc;
  if (await exists(path.join(programCache(), name, version, name))) return [];
  const lacks: Lack[] = [];
  if ((await which('gcc')) === undefined) {
    lacks.push(fromPackages('runc has to be built, and there is no C compiler', ['gcc', 'libc6-dev']));
  }
  if ((await run('pkg-config', ['--exists', 'libseccomp'])).code !== 0) {
    lacks.push(fromPackages('runc has to be built, and libseccomp is missing', ['libseccomp-dev', 'pkg-config']));
  }
  return lacks;
}

/** Tries, in namespaces of its own, what the node will do. */
async function missingInKernel(commands: readonly Lack[]): Promise<readonly Lack[]> {
  const tryOut = async (script: string, what: string, remedy: string): Promise<readonly Lack[]> => {
    const isolated = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private', 'sh', '-ec'];
    const { code, stderrTail } = await run('unshare', [...isolated, script]);
    return code === 0 ? [] : [{ what: `${what} (${stderrTail.trim() || `exit code ${code}`})`, remedy }];
  };
  const namespaces = await tryOut(
    'mount -t tmpfs tmpfs /tmp',
    'namespaces of network, mounts and processes cannot be made',
    'run this as root of a machine, or in a container that is privileged (docker run --privileged)',
  );
  if (namespaces.length > 0) return namespaces;
  const module = (name: string) =>
    `load the kernel's module: modprobe ${name}; a kernel without it cannot have a real node`;
  const has = (command: string) => !commands.some(({ what }) => what.includes(command));
  return [
    ...(has('ip')
      ? [
          ...(await tryOut('ip link add name probe0 type bridge', 'the kernel has no bridges', module('bridge'))),
          ...(await tryOut(
            'ip link add name probe0 type veth peer name probe1',
            'the kernel has no veth pairs',
            module('veth'),
          )),
        ]
      : []),
    ...(has('nft')
      ? await tryOut(
          'nft "add table ip t; add chain ip t c { type nat hook prerouting priority 0; }; add rule ip t c masquerade" ' +
            '2>/dev/null || nft "add table ip t; add chain ip t p { type nat hook postrouting priority 0; }; add rule ip t p masquerade"',
          'the kernel has no nftables with address translation',
          module('nft_masq'),
        )
      : []),
  ];
}

async function missingCgroups(): Promise<readonly Lack[]> {
  const cgroups = await machineCgroups();
  if (cgroups === undefined) {
    return [
      { what: 'no control groups are mounted in /sys/fs/cgroup', remedy: 'mount -t cgroup2 cgroup2 /sys/fs/cgroup' },
    ];
  }
  const wanted = [
    'cpu',
    'cpuset',
    'memory',
    'pids',
    ...(cgroups.version === 1 ? ['cpuacct', 'devices', 'freezer'] : []),
  ];
  return wanted
    .filter((controller) => !cgroups.controllers.includes(controller))
    .map((controller) => ({
      what: `the control group controller ${controller} is missing`,
      remedy:
        cgroups.version === 2
          ? `enable it in the parent group, or boot without cgroup_disable=${controller}`
          : `mount it: mkdir -p /sys/fs/cgroup/${controller} && mount -t cgroup -o ${controller} cgroup /sys/fs/cgroup/${controller}`,
    }));
}

async function missingFiles(): Promise<readonly Lack[]> {
  if (await exists('/dev/kmsg')) return [];
  return [{ what: 'the kubelet reads /dev/kmsg, which is missing', remedy: 'mknod /dev/kmsg c 1 11' }];
}

/** A line about the disk below the folder when little of it is free; undefined when there is enough. */
export async function diskWarning(folder: string): Promise<string | undefined> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= DISK_BYTES) return undefined;
  return `${folder} has ${Math.floor(free / GIB)} GiB free; images and volumes of a real node take up to ${DISK_BYTES / GIB} GiB`;
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
