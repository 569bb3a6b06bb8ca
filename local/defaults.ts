import path from 'node:path';

/** The repository. */
export const ROOT = path.dirname(__dirname);

/** Where `npm run local` and `npm run demo` keep their environment. */
export const DEFAULT_DIR = path.join(ROOT, '.local');

/** The same for an environment with a real node, which is another one for good. */
export const REAL_DIR = path.join(ROOT, '.local-real');

/** Ports that people know by heart, taken where they are free. */
export const WELL_KNOWN_PORTS = { temporal: 7233, temporalUi: 8233 } as const;

/** What the product brings to a cluster: its kinds and admission policies. */
export const PRODUCT_MANIFESTS: readonly string[] = ['definitions', 'policies'].map((folder) =>
  path.join(ROOT, 'charts', 'kaito-temporal', folder),
);
