import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { run } from './io';

/** A kubectl that knows two Workspaces, and remembers nothing. */
const folder = mkdtempSync(join(tmpdir(), 'kaito-completion-'));
writeFileSync(
  join(folder, 'kubectl'),
  '#!/bin/sh\necho "phi-4 $*" | sed "s/ get workspaces.kaito.sh/ /; s/ -o .*//; s/--*namespace//; s/ -n//"\n',
);
chmodSync(join(folder, 'kubectl'), 0o755);

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

test('zsh takes the same by its emulation, and fish has its own', async () => {
  const zsh = (await run(['completion', 'zsh'])).out;
  expect(zsh).toMatch(/^#compdef kaito\nautoload -U \+X bashcompinit && bashcompinit\n/);
  expect(zsh).toContain(script);
  const fish = (await run(['completion', 'fish'])).out.split('\n');
  expect(fish).toContain(
    "complete -c kaito -n __fish_use_subcommand -a doctor -d 'check the installation, and say what to fix'",
  );
  expect(fish).toContain(
    "complete -c kaito -n '__fish_seen_subcommand_from logs' -l part -x -a 'serving training push' -d 'instead of what is at work'",
  );
});
