import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../../local/defaults';
import { neededPermissions } from '../../cli/doctor/permissions';
import { buildIdOf } from '../../workers/versioning';
import { version } from '../../package.json';

/**
 * The product's image without an image: the files that .dockerignore lets through, built as the Dockerfile builds them, and those that its last stage takes. What
 * pods run finds what it reads among them. `npm run test:real` builds and runs the image itself.
 */

const BUILT_WITHIN_MS = 300_000;
const exec = promisify(execFile);

let folder: string;
/** What is in /app. */
let app: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kaito-image-'));
  const build = path.join(folder, 'build');
  app = path.join(folder, 'app');
  for (const file of await context()) await copy(path.join(ROOT, file), path.join(build, file));
  const packages = path.join(ROOT, 'node_modules');
  for (const at of [build, app]) {
    await mkdir(at, { recursive: true });
    await symlink(packages, path.join(at, 'node_modules'));
  }
  await exec('npm', ['run', 'build'], { cwd: build });
  for (const name of ['package.json', 'package-lock.json']) await copy(path.join(build, name), path.join(app, name));
  for (const [from, to] of await copied()) await copy(path.join(build, from), path.join(app, to));
}, BUILT_WITHIN_MS);

afterAll(() => rm(folder, { recursive: true, force: true }));

async function copy(from: string, to: string): Promise<void> {
  await mkdir(path.dirname(to), { recursive: true });
  await cp(from, to, { recursive: true });
}

/** The files that a build is given: the last line of .dockerignore that matches a file, or a folder above it, decides. */
async function context(): Promise<readonly string[]> {
  const lines = (await readFile(path.join(ROOT, '.dockerignore'), 'utf8')).split('\n');
  const rules = lines.filter((line) => line !== '' && !line.startsWith('#'));
  const { stdout } = await exec('git', ['ls-files', '--cached', '--others', '--exclude-standard', '--deduplicate'], {
    cwd: ROOT,
    maxBuffer: 2 ** 24,
  });
  return stdout.split('\n').filter((file) => {
    const last = rules.findLast((rule) => matches(file, rule.replace(/^!/, '')));
    return file !== '' && (last === undefined || last.startsWith('!'));
  });
}

function matches(file: string, pattern: string): boolean {
  const parts = file.split('/');
  return parts.some((_, at) => path.matchesGlob(parts.slice(0, at + 1).join('/'), pattern));
}

/** What the Dockerfile's last stage takes from where it was built: below /app, from and to. */
async function copied(): Promise<readonly (readonly [string, string])[]> {
  const last = (await readFile(path.join(ROOT, 'Dockerfile'), 'utf8')).split(/^FROM /m).at(-1) ?? '';
  return [...last.matchAll(/^COPY --from=build \/app\/(\S+) \.\/(\S+)$/gm)].map(([, from = '', to = '']) => [from, to]);
}

async function node(...args: readonly string[]): Promise<string> {
  const env = {
    PATH: process.env['PATH'],
    KUBECONFIG: '/dev/null',
    KAITO_WORKFLOW_BUNDLE: path.join(app, 'dist', 'workflow-bundle.js'),
  };
  return (await exec(process.execPath, args, { cwd: app, env })).stdout;
}

it('is built from what it is made of, and nothing else', async () => {
  const files = await context();

  const outside =
    /^(test|docs|local|examples|presets\/runtime\/(?!sbom\/debian$)|node_modules|charts\/(?!kaito-temporal\/rbac\/))(\/|$)|\.md$/;
  expect(files.filter((file) => outside.test(file))).toEqual([]);
  expect(files).toEqual(expect.arrayContaining(['package.json', 'workers/start.ts', 'presets/data/models.json']));
});

it('has the command line, which knows models and sizes', async () => {
  expect((await node('dist/cli/kaito.js', '--version')).trim()).toBe(version);
  const example = path.join(ROOT, 'examples', 'phi-3-inference.yaml');
  expect(await node('dist/cli/kaito.js', 'plan', '-f', example)).toContain('Standard_');
});

it.each(['worker', 'bridge'] as const)('has what the doctor compares the %s’s permissions with', async (role) => {
  const told = await node(
    '-p',
    `JSON.stringify(require('./dist/cli/doctor/permissions.js').neededPermissions('${role}'))`,
  );

  const needed = neededPermissions(role);
  expect(needed?.length).toBeGreaterThan(5);
  expect(JSON.parse(told)).toEqual(needed);
});

it('has the commands of pods: the worker’s, the bridge’s, and the one that promotes this code', async () => {
  const [, entry] =
    /^ENTRYPOINT \["node", "\/app\/(.+)"\]$/m.exec(await readFile(path.join(ROOT, 'Dockerfile'), 'utf8')) ?? [];
  expect(await node(entry ?? '', '--help')).toContain('Runs the worker and the bridge.');

  const codePath = path.join(app, 'dist', 'workflow-bundle.js');
  expect((await node('dist/workers/promote.js', '--print')).trim()).toBe(await buildIdOf({ codePath }));
});
