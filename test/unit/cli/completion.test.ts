import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { completeForKubectl } from '../../../cli/completion/kubectl';
import { startFakeCluster } from '../../fakes/apiserver/harness';
import { run } from './io';

/** A kubectl that knows two Workspaces, and remembers nothing. */
const folder = mkdtempSync(join(tmpdir(), 'kaito-completion-'));
writeFileSync(
  join(folder, 'kubectl'),
  '#!/bin/sh\necho "phi-4 $*" | sed "s/ get workspaces.kaito.sh/ /; s/ -o .*//; s/--*namespace//; s/ -n//"\n',
);
chmodSync(join(folder, 'kubectl'), 0o755);

afterAll(() => rmSync(folder, { recursive: true }));

let script: string;
beforeAll(async () => {
  script = (await run(['completion', 'bash'])).out;
});

/** What bash would offer for the last word. */
function offered(...words: readonly string[]): readonly string[] {
  const program = `${script}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kaito; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', program, 'bash', ...words], {
    encoding: 'utf8',
    env: { PATH: `${folder}${delimiter}${process.env['PATH'] ?? ''}` },
  });
  expect(stderr).toBe('');
  return stdout.split('\n').filter((line) => line !== '');
}

test('offers commands, also behind global options', () => {
  expect(offered('kaito', 're')).toEqual(['retry', 'resume']);
  expect(offered('kaito', '--address', 'here:7233', 'do')).toEqual(['doctor']);
});

test('offers the options of a command and of all commands, and their values', () => {
  expect(offered('kaito', 'logs', 'phi-4', '--pre')).toEqual(['--previous']);
  expect(offered('kaito', 'logs', '--name')).toEqual(['--namespace']);
  expect(offered('kaito', 'get', '-o', '')).toEqual(['table', 'wide', 'json', 'yaml']);
  expect(offered('kaito', 'history', 'phi-4', '--output', 'w')).toEqual([]);
  expect(offered('kaito', 'completion', '')).toEqual(['bash', 'zsh', 'fish']);
});

test('offers Workspaces of the namespace that was named, for the first argument alone', () => {
  expect(offered('kaito', 'get', '')).toEqual(['phi-4']);
  expect(offered('kaito', '-n', 'team', 'get', '')).toEqual(['phi-4', 'team']);
  expect(offered('kaito', 'chat', 'phi-4', '')).toEqual([]);
});

test('zsh takes the same by its emulation', async () => {
  const zsh = (await run(['completion', 'zsh'])).out;
  expect(zsh).toMatch(/^#compdef kaito\nautoload -U \+X bashcompinit && bashcompinit\n/);
  expect(zsh).toContain(script);
});

/** Skipped, by a name that says so, where the shell is not installed. */
function inShell(shell: 'zsh' | 'fish', name: string, body: (shell: string) => Promise<void>): void {
  if (spawnSync(shell, ['--version']).error === undefined) test(`in ${shell}: ${name}`, () => body(shell));
  else test.skip(`in ${shell}, which is not installed here (apt-get install ${shell}): ${name}`, () => body(shell));
}

const env = { PATH: `${folder}${delimiter}${process.env['PATH'] ?? ''}`, HOME: folder, TERM: 'dumb' };

inShell('zsh', 'Tab completes a command, an option and a Workspace', async (shell) => {
  const file = join(folder, '_kaito');
  writeFileSync(file, (await run(['completion', 'zsh'])).out);
  // A terminal, as the line editor wants one; each Tab is answered before the next word is typed.
  const program = `zmodload zsh/zpty || exit 9
zpty shell zsh -f -i
zpty -w shell 'PROMPT=; unsetopt zle_bracketed_paste 2>/dev/null; autoload -U compinit && compinit -D -u; source ${file}; setopt no_beep; bindkey "^I" complete-word; kaito() { print -r -- "ran: $*." }; print REA''DY'
zpty -r shell out '*READY*' || exit 1
zpty -w -n shell $'kaito lo\tph\t--prev\t\n'
zpty -r shell out '*ran: logs phi-4 --previous.*' || exit 2
zpty -d shell`;
  const { status, stderr } = spawnSync(shell, ['-f', '-c', program], { encoding: 'utf8', env, timeout: 20_000 });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

inShell('fish', 'offers commands, options, their values and Workspaces', async (shell) => {
  const file = join(folder, 'kaito.fish');
  writeFileSync(file, (await run(['completion', 'fish'])).out);
  const offers = (line: string): readonly string[] => {
    const { stdout, stderr } = spawnSync(shell, ['--no-config', '-c', `source ${file}; complete -C $argv[1]`, line], {
      encoding: 'utf8',
      env,
      timeout: 20_000,
    });
    expect(stderr).toBe('');
    const words = stdout.split('\n').map((one) => one.split('\t')[0] ?? '');
    return words.filter((word) => word !== '').sort();
  };
  expect(offers('kaito re')).toEqual(['resume', 'retry']);
  expect(offers('kaito --address here:7233 do')).toEqual(['doctor']);
  expect(offers('kaito logs phi-4 --pre')).toEqual(['--previous']);
  expect(offers('kaito get -o ')).toEqual(['json', 'table', 'wide', 'yaml']);
  expect(offers('kaito completion ')).toEqual(['bash', 'fish', 'zsh']);
  expect(offers('kaito get ')).toEqual(['phi-4']);
  expect(offers('kaito -n team get ')).toEqual(['phi-4', 'team']);
  expect(offers('kaito chat phi-4 ')).toEqual([]);
});

describe('kubectl’s completion', () => {
  async function answer(...words: readonly string[]): Promise<string> {
    let out = '';
    await completeForKubectl(words, {
      out: (text) => void (out += text),
      err: () => undefined,
      env: {},
      signal: new AbortController().signal,
      now: () => new Date(0),
      read: () => '',
    });
    return out;
  }

  test('gets commands and options with their meaning, values without, and the word that files may stand there', async () => {
    expect(await answer('re')).toBe(
      'retry\ttry the failed step again, at once\nresume\tstart a cancelled Workspace again\n:4\n',
    );
    expect(await answer('--address', 'here:7233', 'logs', 'phi', '--pre')).toBe(
      '--previous\tof the container before its restart; of a Job: of the pod before\n:4\n',
    );
    expect(await answer('logs', 'phi', '--part', '')).toBe('serving\ntraining\npush\n:4\n');
    expect(await answer('completion', 'f')).toBe('fish\n:4\n');
    expect(await answer('plan', '-f', '')).toBe(':0\n');
    expect(await answer('chat', 'phi', '')).toBe(':4\n');
    expect(await answer('nothing', '')).toBe(':4\n');
  });

  test('gets the Workspaces of the cluster and namespace that the line names, or that there is no answer', async () => {
    const cluster = await startFakeCluster();
    try {
      for (const [namespace, name] of [
        ['team', 'phi'],
        ['team', 'tune'],
        ['other', 'phi-2'],
      ] as const) {
        const body = { apiVersion: 'kaito.sh/v1beta1', kind: 'Workspace', metadata: { name } as never };
        cluster.server.store.create('kaito.sh/v1beta1/workspaces', namespace, body);
      }
      const kubeconfig = cluster.server.kubeconfig();
      expect(await answer('--kubeconfig', kubeconfig, '-n', 'team', 'get', '')).toBe('phi\ntune\n:4\n');
      expect(await answer('get', '--kubeconfig', kubeconfig, '--namespace', 'team', 't')).toBe('tune\n:4\n');
    } finally {
      await cluster.stop();
    }
    expect(await answer('--kubeconfig', '/nonexistent', 'get', '')).toBe(':1\n');
  });

  test('is asked by the name that kubectl looks for', async () => {
    const program = join(folder, 'kubectl_complete-kaito');
    symlinkSync(join(__dirname, '../../../cli/launch.cjs'), program);
    const { stdout, stderr } = spawnSync(process.execPath, [program, 'doc'], { encoding: 'utf8', timeout: 30_000 });
    expect({ stdout, stderr }).toEqual({
      stdout: 'doctor\tcheck the installation, and say what to fix\n:4\n',
      stderr: '',
    });
  });
});
