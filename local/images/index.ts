import type { Log } from '../programs/source';
import type { BuiltImage, Images, RegistryTarget } from './types';

export type { BuiltImage, Images, RegistryTarget } from './types';

/**
 * Builds what is missing of the images, without any image registry: from Debian packages, the Python package index and this
 * repository. Cached outside the clone by what goes in; seconds when nothing changed.
 *
 * @throws MissingToolsError naming the Debian packages to install. Needs Linux and root.
 */
export function buildImages(log: Log): Promise<Images> {
  void log;
  throw new Error('not yet');
}

/** Pushes a built image under its name; what the registry has is not sent again. Returns `host:port/repository:tag@sha256:…`. */
export function pushImage(image: BuiltImage, registry: RegistryTarget): Promise<string> {
  void image;
  void registry;
  throw new Error('not yet');
}

/** Writes an archive for `ctr -n k8s.io images import`, in which the image is called `reference`. */
export function exportArchive(image: BuiltImage, reference: string, file: string): Promise<void> {
  void image;
  void reference;
  void file;
  throw new Error('not yet');
}

/**
 * Makes an image of a folder's files, at `pathInImage` (absolute), and pushes it as `name` (`repository:tag`): weights of a model, a
 * dataset, an adapter. Returns `host:port/repository:tag@sha256:…`.
 */
export function pushFolder(input: {
  readonly folder: string;
  readonly pathInImage: string;
  readonly name: string;
  readonly registry: RegistryTarget;
}): Promise<string> {
  void input;
  throw new Error('not yet');
}
