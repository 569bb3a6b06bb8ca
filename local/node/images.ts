import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';

import { exportArchive, type BuiltImage } from '../images';
import { paths, readState, type State } from '../state';
import { inNode } from './namespaces';

/**
 * Makes a built image known to the node under a reference, so that pods use it without a registry. Images outlive the environment: one
 * that is there already, unpacked, is left as it is.
 */
export async function provideImage(dir: string, image: BuiltImage, reference: string): Promise<void> {
  const state = await readState(dir);
  if (state?.node === undefined) throw new Error(`the environment in ${dir} has no real node`);
  if ((await digestOnNode(dir, state, reference)) === image.digest) return;
  const archive = path.join(paths(dir).node, `${randomUUID()}.tar`);
  try {
    await exportArchive(image, reference, archive);
    await importArchive(dir, state, archive);
  } finally {
    await rm(archive, { force: true });
  }
}

/** Imports an archive of images, called as the archive says, and unpacks them. */
export async function importArchive(dir: string, state: State, archive: string): Promise<void> {
  await inNode(dir, [...ctr(state), 'images', 'import', '--snapshotter', state.node?.snapshotter ?? '', archive]);
}

async function digestOnNode(dir: string, state: State, reference: string): Promise<string | undefined> {
  const listed = await inNode(dir, [...ctr(state), 'images', 'list', `name==${reference}`]);
  return /\ssha256:[0-9a-f]{64}\s/.exec(listed)?.[0].trim();
}

/** The namespace that the kubelet's images are in. */
function ctr({ programs }: State): [string, ...string[]] {
  if (programs.ctr === undefined) throw new Error('this environment has no ctr');
  return [programs.ctr.file, '--namespace', 'k8s.io'];
}
