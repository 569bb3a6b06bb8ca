import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { getPrograms } from '../programs';
import type { Log } from '../programs/source';
import { step } from './host';
import type { BuiltImage, RegistryTarget } from './types';

/** Pushes a built image under its name; what the registry has is not sent again. Returns `host:port/repository:tag@sha256:…`. */
export function pushImage(image: BuiltImage, registry: RegistryTarget, log: Log): Promise<string> {
  return withCrane(registry, log, async (crane) => {
    const reference = `${registry.host}/${image.name}`;
    await crane(`pushing ${image.name}`, 'push', image.layout, reference);
    return `${reference}@${image.digest}`;
  });
}

/**
 * Makes an image of a folder's files, at `pathInImage` (absolute), and pushes it as `name` (`repository:tag`): weights of a model, a
 * dataset, an adapter. Returns `host:port/repository:tag@sha256:…`.
 */
export function pushFolder(
  input: {
    readonly folder: string;
    readonly pathInImage: string;
    readonly name: string;
    readonly registry: RegistryTarget;
  },
  log: Log,
): Promise<string> {
  const { folder, pathInImage, name, registry } = input;
  return withCrane(registry, log, async (crane, work) => {
    const reference = `${registry.host}/${name}`;
    const layer = path.join(work, 'layer.tar');
    const inside = pathInImage.replace(/^\/+|\/+$/g, '');
    // The same files give the same image. Names in the archive begin with the folder's place in the image.
    const same = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
    const moved = inside === '' ? [] : ['--transform', `s,^\\.,${inside},`];
    await step(
      `packing ${folder}`,
      ['tar', '--create', '--file', layer, ...same, ...moved, '--directory', folder, '.'],
      log,
    );
    await crane(`pushing ${name}`, 'append', '--oci-empty-base', '--new_layer', layer, '--new_tag', reference);
    const digest = (await crane(`asking for ${name}`, 'digest', reference)).trim();
    return `${reference}@${digest}`;
  });
}

type Crane = (what: string, ...args: readonly string[]) => Promise<string>;

/** crane with the registry's credentials in a folder of its own, so that the user's are neither used nor changed. */
async function withCrane<T>(
  registry: RegistryTarget,
  log: Log,
  work: (crane: Crane, folder: string) => Promise<T>,
): Promise<T> {
  const { crane } = await getPrograms(['crane'], log);
  const folder = await mkdtemp(path.join(tmpdir(), 'kaito-push-'));
  try {
    const { username, password } = registry.credentials ?? {};
    const auth = Buffer.from(`${username}:${password}`).toString('base64');
    const auths = registry.credentials === undefined ? {} : { [registry.host]: { auth } };
    await writeFile(path.join(folder, 'config.json'), JSON.stringify({ auths }), { mode: 0o600 });
    const flags = registry.insecure === true ? ['--insecure'] : [];
    const run: Crane = (what, ...args) =>
      step(what, [crane.file, ...args, ...flags], log, { env: { DOCKER_CONFIG: folder } });
    return await work(run, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
