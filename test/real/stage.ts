import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { PRODUCT_MANIFESTS } from '../../local/defaults';
import { down, up, type Environment } from '../../local/environment';
import { buildImages, type Images } from '../../local/images';
import { provideImage } from '../../local/node/images';
import { Stage } from '../e2e/support';

/** The product beside a node that really runs containers. */
export interface RealStage {
  readonly stage: Stage;
  readonly environment: Environment & Required<Pick<Environment, 'realNode' | 'kubeconfig'>>;
  readonly images: Images;
}

/** Getting programs and images for the first time takes minutes; with all of them cached, this takes seconds. */
const OPEN_WITHIN_MS = 30 * 60_000;
const CLOSE_WITHIN_MS = 2 * 60_000;

/**
 * Brings up an environment with a real node, gives the node the images, and starts the product; after the tests of the file all of it
 * is gone. `KAITO_TEST_DIR` names an environment to use, and to leave up, instead: one that `npm run local -- up --real` made.
 */
export function useRealStage(
  topic: string,
  variables: (node: RealStage['environment']['realNode']) => Readonly<Record<string, string>> = () => ({}),
): () => RealStage {
  let opened: RealStage | undefined;
  let dir: string | undefined;
  const existing = process.env.KAITO_TEST_DIR;
  beforeAll(async () => {
    const log = (line: string) => process.stderr.write(`${line}\n`);
    const images = await buildImages(log);
    dir = existing ?? (await mkdtemp(path.join(tmpdir(), 'kaito-test-real-')));
    const environment = await up({
      dir,
      parts: { kubernetes: true, karpenter: true, temporal: 'memory', realNode: true },
      ...(existing === undefined ? { lifetime: 'owner' } : {}),
      manifestFolders: PRODUCT_MANIFESTS,
      log,
    });
    const { realNode, kubeconfig } = environment;
    if (realNode === undefined || kubeconfig === undefined) throw new Error('the environment has no real node');
    for (const image of [images.runtime, images.tools]) await provideImage(dir, image, image.name);
    // Where test/environment.ts looks for the environment of end-to-end tests.
    process.env.KAITO_TEST_CLUSTER = JSON.stringify(environment);
    const stage = await Stage.open(topic, variables(realNode));
    opened = { stage, environment: { ...environment, realNode, kubeconfig }, images };
  }, OPEN_WITHIN_MS);
  afterAll(async () => {
    try {
      await opened?.stage.close();
    } finally {
      if (dir !== undefined && existing === undefined) await down(dir);
    }
  }, CLOSE_WITHIN_MS);
  return () => {
    if (opened === undefined) throw new Error('the real node did not start');
    return opened;
  };
}
