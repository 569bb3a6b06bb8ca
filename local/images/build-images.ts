import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { ROOT } from '../defaults';
import { withFileLock } from '../lock';
import type { Log } from '../programs/source';
import { asThisMachine, OPEN_FILES, openBuildah, packageEnvironment, type Buildah } from './buildah';
import { checkHost, imageCache, step } from './host';
import { filesBelow, keyOf } from './key';
import { findLayout, writeLayout } from './layout';
import type { BuiltImage, Images } from './types';

const RUNTIME = path.join(ROOT, 'presets', 'runtime');
const VENV = '/opt/runtime';
/** Prints the list of Debian packages. */
const DEBIAN_SBOM = path.join(RUNTIME, 'sbom', 'debian');
const SUITE = 'bookworm';
/** libnuma1 is what vLLM for CPUs is linked against; curl is for whoever asks the model from another pod. */
const DEBIAN_PACKAGES = ['ca-certificates', 'curl', 'libnuma1', 'python3', 'python3-venv'];
const UV_VERSION = '0.13.8';

/** Without a compiler nothing can be compiled; vLLM would ask for one when it applies adapters on a CPU. */
const CPU_SETTINGS = ['TORCH_COMPILE_DISABLE=1'];

/** Raised when what is done below changes in a way that the inputs don't show. */
const RECIPE = '2';

const NAMES = { runtime: 'kaito-temporal/runtime:0.1.0', tools: 'kaito-temporal/tools:0.1.0' } as const;

/**
 * Builds what is missing of the images, without any image registry: from Debian packages, the Python package index and this
 * repository. Cached outside the clone by what goes in: seconds when nothing changed.
 *
 * @throws MissingToolsError naming the Debian packages to install. Needs Linux and root.
 */
export async function buildImages(log: Log): Promise<Images> {
  const keys = await keysOf();
  return withFileLock(
    path.join(imageCache(), 'lock'),
    (holder) => log(`waiting for process ${holder.pid}, which is building images`),
    async () => (await findAll(keys)) ?? (await buildAll(keys, log)),
  );
}

interface Keys {
  readonly debian: string;
  readonly tools: string;
  readonly base: string;
  readonly runtime: string;
}

async function keysOf(): Promise<Keys> {
  const inRuntime = (...parts: string[]): string => path.join(RUNTIME, ...parts);
  const debian = await keyOf({ texts: [RECIPE, process.arch, SUITE, ...DEBIAN_PACKAGES], root: ROOT, files: [] });
  const base = await keyOf({
    texts: [RECIPE, debian, UV_VERSION, ...CPU_SETTINGS],
    root: ROOT,
    files: [
      inRuntime('cpu', 'install'),
      ...['cpu.txt', 'cpu-overrides.txt', 'runtime.txt'].map((name) => inRuntime('requirements', name)),
      path.join(__dirname, 'without_cuda.py'),
    ],
  });
  const own = await Promise.all(['src', 'sbom', 'chat_templates'].map((name) => filesBelow(inRuntime(name))));
  const files = ['Dockerfile', '.dockerignore', 'pyproject.toml'].map((name) => inRuntime(name));
  return {
    debian,
    tools: await keyOf({ texts: [RECIPE, debian], root: ROOT, files: [DEBIAN_SBOM] }),
    base,
    runtime: await keyOf({ texts: [RECIPE, base], root: ROOT, files: [...files, ...own.flat()] }),
  };
}

async function findAll(keys: Keys): Promise<Images | undefined> {
  const runtime = await findLayout('runtime', keys.runtime, NAMES.runtime);
  const tools = await findLayout('tools', keys.tools, NAMES.tools);
  return runtime !== undefined && tools !== undefined ? { runtime, tools } : undefined;
}

async function buildAll(keys: Keys, log: Log): Promise<Images> {
  await checkHost();
  const buildah = await openBuildah(log);
  const debian = await made(buildah, `localhost/debian:${keys.debian}`, (image) => buildDebian(buildah, image, log));
  const base = await made(buildah, `localhost/cpu-base:${keys.base}`, (image) =>
    buildBase(buildah, debian, image, log),
  );
  const tools = await buildTools(buildah, debian, keys.tools);
  const runtime = await buildRuntime(buildah, base, keys.runtime);
  await forgetOthers(buildah, [debian, base]);
  const megabytes = (image: BuiltImage): string => `${image.name} ${Math.round(image.bytes / 1e6)} MB`;
  log(`images are ready: ${megabytes(runtime)}, ${megabytes(tools)}`);
  const used = await step('measuring', ['du', '--summarize', '--block-size=1M', imageCache()], log);
  log(`${imageCache()} takes ${used.split('\t')[0] ?? '?'} MB of disk`);
  return { runtime, tools };
}

async function made(buildah: Buildah, image: string, make: (image: string) => Promise<void>): Promise<string> {
  if (!(await buildah.has(image))) await make(image);
  return image;
}

/** Debian in buildah's store, for images that are built on it; made where it is missing. */
export async function debianImage(buildah: Buildah, log: Log): Promise<string> {
  const { debian } = await keysOf();
  return made(buildah, `localhost/debian:${debian}`, (image) => buildDebian(buildah, image, log));
}

/** Debian with Python, from packages: there is no registry to take it from. */
async function buildDebian(buildah: Buildah, image: string, log: Log): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kaito-debian-'));
  const archive = path.join(folder, 'debian.tar');
  const left = ['doc', 'man', 'locale', 'info'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
  try {
    await step(
      `Debian ${SUITE}`,
      ['mmdebstrap', '--variant=minbase', `--include=${DEBIAN_PACKAGES.join(',')}`, ...left, SUITE, archive],
      log,
    );
    await inContainer(buildah, 'scratch', image, async (container) => {
      await buildah.run('unpacking Debian', 'add', '--quiet', container, archive, '/');
      await buildah.run('setting it up', 'config', '--cmd', '["bash"]', '--env', 'LANG=C.UTF-8', container);
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Debian, and the list of its packages. */
async function buildTools(buildah: Buildah, debian: string, key: string): Promise<BuiltImage> {
  const found = await findLayout('tools', key, NAMES.tools);
  if (found !== undefined) return found;
  const image = `localhost/tools:${key}`;
  await inContainer(buildah, debian, image, (container) => listDebianPackages(buildah, container));
  const layout = await writeLayout(buildah, image, { title: 'tools', key, name: NAMES.tools });
  await buildah.run('tidying', 'rmi', image);
  return layout;
}

/** Writes what the container has of Debian to where every image of ours has it. */
async function listDebianPackages(buildah: Buildah, container: string): Promise<void> {
  const script = 'install -d /usr/share/sbom && sh /mnt/sbom > /usr/share/sbom/debian.spdx.json';
  const mounted = ['--isolation=chroot', '--volume', `${DEBIAN_SBOM}:/mnt/sbom:ro`];
  await buildah.run('listing its packages', 'run', ...mounted, container, '--', 'sh', '-c', script);
}

/** vLLM for CPUs in a virtual environment that is first on PATH: what the official image is to a GPU. */
async function buildBase(buildah: Buildah, debian: string, image: string, log: Log): Promise<void> {
  const uv = '/tmp/uv';
  const install = [
    'set -eu',
    `python3 -m venv ${VENV}`,
    `python3 -m venv ${uv}`,
    `${uv}/bin/pip install --quiet --disable-pip-version-check uv==${UV_VERSION}`,
    `PATH=${uv}/bin:$PATH /mnt/runtime/cpu/install ${VENV}/bin/python`,
    `rm -rf ${uv} /root/.cache`,
  ].join('\n');
  const settings = [
    'UV_CACHE_DIR=/var/cache/uv',
    'UV_LINK_MODE=copy',
    'UV_COMPILE_BYTECODE=1',
    ...packageEnvironment(),
  ];
  await inContainer(buildah, debian, image, async (container) => {
    await buildah.run(
      'installing vLLM for CPUs',
      'run',
      '--isolation=chroot',
      '--network=host',
      ...(await asThisMachine()),
      ...['--volume', `${RUNTIME}:/mnt/runtime:ro`],
      ...settings.flatMap((setting) => ['--env', setting]),
      container,
      ...['--', 'bash', '-c', install],
    );
    const root = (await buildah.run('opening it', 'mount', container)).trim();
    const [packages] = (
      await step('looking', ['bash', '-c', `ls -d ${root}${VENV}/lib/python3*/site-packages`], log)
    ).split('\n');
    await step('leaving CUDA out', ['python3', path.join(__dirname, 'without_cuda.py'), packages ?? ''], log);
    await buildah.run('closing it', 'unmount', container);
    const variables = [
      ...CPU_SETTINGS,
      `VIRTUAL_ENV=${VENV}`,
      `PATH=${VENV}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    ];
    await buildah.run('setting it up', 'config', ...variables.flatMap((value) => ['--env', value]), container);
  });
}

/** The product's own Dockerfile, on the base for CPUs. */
async function buildRuntime(buildah: Buildah, base: string, key: string): Promise<BuiltImage> {
  const found = await findLayout('runtime', key, NAMES.runtime);
  if (found !== undefined) return found;
  const image = `localhost/runtime:${key}`;
  await buildah.run(
    `building ${NAMES.runtime}`,
    'bud',
    '--isolation=chroot',
    '--network=host',
    '--pull-never',
    '--layers=false',
    ...OPEN_FILES,
    '--build-arg',
    `BASE_IMAGE=${base}`,
    ...(await asThisMachine()),
    '--tag',
    image,
    RUNTIME,
  );
  const layout = await writeLayout(buildah, image, { title: 'runtime', key, name: NAMES.runtime });
  await buildah.run('tidying', 'rmi', image);
  return layout;
}

export async function inContainer(
  buildah: Buildah,
  from: string,
  image: string,
  work: (container: string) => Promise<void>,
): Promise<void> {
  const container = (await buildah.run('starting', 'from', '--pull-never', ...OPEN_FILES, from)).trim();
  try {
    await work(container);
    await buildah.run('keeping it', 'commit', '--quiet', '--format', 'oci', container, image);
  } finally {
    await buildah.run('tidying', 'rm', container);
  }
}

/** Bases of earlier versions; several gigabytes each. */
async function forgetOthers(buildah: Buildah, kept: readonly string[]): Promise<void> {
  const listed = await buildah.run('listing', 'images', '--format', '{{.Name}}:{{.Tag}}');
  const others = listed.split('\n').filter((name) => name.startsWith('localhost/') && !kept.includes(name));
  if (others.length > 0) await buildah.run('tidying', 'rmi', '--force', ...others);
}
