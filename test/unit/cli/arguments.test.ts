import { connect } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { version } from '../../../package.json';
import { listening } from '../../fakes/kubelet/fake-kubelet';
import { run } from './io';

/** What the command says to command lines that cannot work, and with which exit code. */

const folder = mkdtempSync(join(tmpdir(), 'kaito-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

const NOWHERE = kubeconfig('http://127.0.0.1:9');

function kubeconfig(server: string): string {
  const file = join(folder, `kubeconfig-${new URL(server).port}`);
  writeFileSync(
    file,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'one', cluster: { server, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'me', user: {} }],
      contexts: [{ name: 'one', context: { cluster: 'one', user: 'me', namespace: 'team' } }],
      'current-context': 'one',
    }),
  );
  return file;
}

test.each([
  [['get', 'Not_A_Name'], "error: command-argument value 'Not_A_Name' is invalid for argument 'name'. a name has"],
  [['get', '-n', "x' OR 'y"], 'is invalid. a name has lower-case letters, digits, "-" and "." only.'],
  [['get', '-o', 'xml'], 'Allowed choices are table, wide, json, yaml.'],
  [['gte'], "error: unknown command 'gte'\n(Did you mean get?)"],
  [['history'], "error: missing required argument 'name'"],
  [['retry', 'a', '--timeout', '5 minutes'], 'write for example 90s, 10m or 2h.'],
  [['chat', 'a', 'Hi', '--max-tokens', '0'], 'write a whole number from 1.'],
  [['chat', 'a', 'Hi', '--temperature', 'hot'], 'write a number from 0 to 2.'],
  [['plan'], 'error: give either a name or -f FILE'],
  [['plan', 'a', '-f', 'b.yaml'], 'error: give either a name or -f FILE'],
  [['plan', '-f', 'none.yaml'], 'error: -f none.yaml: no such file'],
  [['completion', 'tcsh'], 'Allowed choices are bash, zsh, fish.'],
  [['get', '-A', 'a', '--kubeconfig', NOWHERE], 'cannot be used with a name'],
  [['get', '--kubeconfig', '/nonexistent'], 'Name a kubeconfig with --kubeconfig or KUBECONFIG'],
  [['get', '--kubeconfig', NOWHERE, '--context', 'two'], 'error: The kubeconfig has no context "two" with a cluster.'],
])('refuses %j with exit code 2', async (args, message) => {
  const { code, out, err } = await run(args);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toContain(message);
});

test('says that the cluster does not answer, and where to look', async () => {
  const { code, err } = await run(['get', '--kubeconfig', NOWHERE]);
  expect(code).toBe(4);
  expect(err).toMatch(
    /^error: list workspaces in namespace "team": no answer from the Kubernetes API: .*127\.0\.0\.1:9/,
  );
  expect(err).toContain('--context or --kubeconfig');
  expect(err).not.toContain('    at ');
});

test('says that Temporal does not answer, with a stack trace when asked', async () => {
  const { code, err } = await run(['history', 'a', '--address', '127.0.0.1:9', '--kubeconfig', NOWHERE, '--debug']);
  expect(code).toBe(4);
  expect(err).toMatch(/^error: Temporal at 127\.0\.0\.1:9 does not answer: /m);
  expect(err).toContain('    at ');
}, 30_000);

test('passes on what the API server forbids, with exit code 5', async () => {
  const { server, port } = await listening((_, response) => {
    response.statusCode = 403;
    const message = 'workspaces.kaito.sh is forbidden: User "me" cannot list resource "workspaces"';
    response.end(JSON.stringify({ kind: 'Status', code: 403, reason: 'Forbidden', message }));
  });
  try {
    const { code, err } = await run(['get', '--kubeconfig', kubeconfig(`http://127.0.0.1:${port}`)]);
    expect(code).toBe(5);
    expect(err).toContain("Ask the cluster's administrator for the permission to list workspaces");
  } finally {
    server.close();
  }
});

test('prints help and version, with exit code 0, and its name as a plug-in of kubectl', async () => {
  expect(await run(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' });
  const help = await run(['help', 'logs'], { env: { KAITO_INVOKED_AS: 'kubectl kaito' } });
  expect(help.code).toBe(0);
  expect(help.out).toMatch(/^Usage: kubectl kaito logs \[options\] <name>\n/);
});

test('nothing listens on the port of these tests', async () => {
  const failed = new Promise((resolve) => connect(9, '127.0.0.1').once('error', resolve));
  expect(await failed).toMatchObject({ code: 'ECONNREFUSED' });
});
