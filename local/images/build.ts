import { buildImages } from './build-images';

/** `node local/bootstrap.cjs local/images/build.ts` builds the images of the real node and prints, as JSON, where they lie. */
async function main(): Promise<void> {
  const images = await buildImages((line) => process.stderr.write(`${line}\n`));
  process.stdout.write(`${JSON.stringify(images, undefined, 2)}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
