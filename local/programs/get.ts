import { CATALOGUE, type ProgramName } from './catalogue';
import { getPrograms } from './index';

/**
 * `node local/bootstrap.cjs local/programs/get.ts NAME …` gets programs of the catalogue and prints, as JSON, where each lies. For
 * tests and scripts that are not written in TypeScript; what is going on is told on stderr.
 */
async function main(names: readonly string[]): Promise<void> {
  const unknown = names.filter((name) => !Object.hasOwn(CATALOGUE, name));
  if (names.length === 0 || unknown.length > 0) {
    const which = unknown.length > 0 ? `unknown: ${unknown.join(', ')}; ` : '';
    throw new Error(`${which}name some of ${Object.keys(CATALOGUE).join(', ')}`);
  }
  const programs = await getPrograms(names as readonly ProgramName[], (line) => process.stderr.write(`${line}\n`));
  const files = Object.values(programs).map(({ name, file }) => [name, file]);
  process.stdout.write(`${JSON.stringify(Object.fromEntries(files))}\n`);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
