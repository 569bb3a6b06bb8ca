import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { BuiltImage } from '../images';
import { readState, type State } from '../state';
import { command } from './command';
import { inNode, insideNode } from './namespaces';
import { nodePaths } from './paths';
import type { NodeState } from './state';

/**
 * Makes a built image known to the node under a reference (`kaito-temporal/runtime:0.1.0`), so that pods use it without a registry.
 *
 * Images outlive the environment: one that the node has from an earlier one, unpacked, is left as it is.
 */
export async function provideImage(dir: string, image: BuiltImage, reference: string): Promise<void> {
  const state = await readState(dir);
  if (state?.node === undefined) throw new Error(`the environment in ${dir} has no real node`);
  const name = qualified(reference);
  const ctr = ctrOf(state);
  const list = await inNode(dir, [...ctr, 'images', 'list', `name==${name}`]);
  if (list.includes(` ${image.digest} `)) return;
  const work = await mkdtemp(path.join(nodePaths(dir).folder, 'import-'));
  try {
    await writeFile(path.join(work, 'index.json'), JSON.stringify(await namedIndex(image, name)));
    const importing = [...insideNode(dir), ...ctr, 'images', 'import', ...unpackBy(state.node), '-'];
    // Only this side sees the layout, wherever it lies.
    const script =
      'layout=$1 work=$2; shift 2; tar -cf - -C "$layout" --exclude=./index.json . -C "$work" index.json | "$@"';
    await command('sh', ['-c', script, 'import', image.layout, work, ...importing]);
    await removeNameless(dir, ctr);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The layout's index with the image's name in it: containerd takes it from there. */
async function namedIndex({ layout, digest }: BuiltImage, name: string): Promise<object> {
  const index = JSON.parse(await readFile(path.join(layout, 'index.json'), 'utf8')) as {
    readonly manifests: readonly { readonly digest: string }[];
  };
  const manifest = index.manifests.find((one) => one.digest === digest);
  if (manifest === undefined) throw new Error(`${layout} has no image ${digest}`);
  return { ...index, manifests: [{ ...manifest, annotations: { 'io.containerd.image.name': name } }] };
}

/** Removes what the node has from registries of earlier environments, which nobody can ask for again. */
export async function removeForeignImages(dir: string, state: State, registry: string): Promise<void> {
  const ctr = ctrOf(state);
  const names = (await inNode(dir, [...ctr, 'images', 'list', '--quiet'])).split('\n');
  const foreign = names.filter((name) => /^10\.\d+\.0\.1:5000\//.test(name) && !name.startsWith(`${registry}/`));
  if (foreign.length > 0) await inNode(dir, [...ctr, 'images', 'remove', ...foreign]);
  await removeNameless(dir, ctr);
}

/** Imports an archive of images, called as the archive says, and unpacks them. */
export async function importArchive(dir: string, state: State, archive: string): Promise<void> {
  if (state.node === undefined) throw new Error(`the environment in ${dir} has no real node`);
  await inNode(dir, [...ctrOf(state), 'images', 'import', ...unpackBy(state.node), archive]);
}

/** Packed layers are of no use once they are unpacked: only containerd without its transfer service (`--local`) drops them. */
function unpackBy({ snapshotter }: NodeState): readonly string[] {
  return ['--local', '--discard-unpacked-layers', '--snapshotter', snapshotter];
}

/** Removes images that an import left without a name: containerd lists them by the digest of their configuration. */
async function removeNameless(dir: string, ctr: [string, ...string[]]): Promise<void> {
  const listed = await inNode(dir, [...ctr, 'images', 'list']);
  const images = listed
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(/\s+/))
    .map(([name = '', , digest = '']) => ({ name, digest, named: !name.startsWith('sha256:') }));
  const kept = new Set(images.filter(({ named }) => named).map(({ digest }) => digest));
  const nameless = images.filter(({ named, digest }) => !named && !kept.has(digest)).map(({ name }) => name);
  if (nameless.length > 0) await inNode(dir, [...ctr, 'images', 'remove', '--sync', ...nameless]);
}

/** The kubelet's images are in this namespace of containerd's. */
function ctrOf({ programs }: State): [string, ...string[]] {
  if (programs.ctr === undefined) throw new Error('this environment has no ctr');
  return [programs.ctr.file, '--namespace', 'k8s.io'];
}

/** A reference as containerd stores it: one without a registry belongs to Docker's. */
function qualified(reference: string): string {
  const [first = '', ...rest] = reference.split('/');
  if (rest.length > 0 && (/[.:]/.test(first) || first === 'localhost')) return reference;
  return rest.length === 0 ? `docker.io/library/${reference}` : `docker.io/${reference}`;
}
