import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

import { command } from './command';
import { PAUSE_IMAGE } from './names';

/** Makes the image of pods' sandboxes, one program and nothing else, as an archive that containerd imports. */
export async function makePauseArchive(program: string, archive: string): Promise<void> {
  const work = `${archive}.tmp`;
  await rm(work, { recursive: true, force: true });
  const blobs = path.join(work, 'image', 'blobs', 'sha256');
  const root = path.join(work, 'root');
  for (const folder of [blobs, root]) await mkdir(folder, { recursive: true });
  const put = async (mediaType: string, content: Buffer) => {
    const sha256 = createHash('sha256').update(content).digest('hex');
    await writeFile(path.join(blobs, sha256), content);
    return { mediaType, digest: `sha256:${sha256}`, size: content.length };
  };
  const putJson = (mediaType: string, value: object) => put(mediaType, Buffer.from(JSON.stringify(value)));

  await copyFile(program, path.join(root, 'pause'));
  const layerFile = path.join(work, 'layer.tar');
  // The same program gives the same image.
  const same = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
  await command('tar', ['--create', '--file', layerFile, ...same, '--directory', root, 'pause']);
  const layer = await readFile(layerFile);
  const type = 'application/vnd.oci.image';
  const config = await putJson(`${type}.config.v1+json`, {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: { Entrypoint: ['/pause'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${createHash('sha256').update(layer).digest('hex')}`] },
  });
  const manifest = await putJson(`${type}.manifest.v1+json`, {
    schemaVersion: 2,
    mediaType: `${type}.manifest.v1+json`,
    config,
    layers: [await put(`${type}.layer.v1.tar+gzip`, gzipSync(layer))],
  });
  const image = path.join(work, 'image');
  await writeFile(path.join(image, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await writeFile(
    path.join(image, 'index.json'),
    JSON.stringify({
      schemaVersion: 2,
      manifests: [{ ...manifest, annotations: { 'io.containerd.image.name': PAUSE_IMAGE } }],
    }),
  );
  await command('tar', ['--create', '--file', archive, '--directory', image, 'oci-layout', 'index.json', 'blobs']);
  await rm(work, { recursive: true });
}
