import { main } from '../../../cli/kaito';
import { CliError } from '../../../cli/failure';

export const NOW = new Date('2026-11-22T12:00:00Z');

/** Runs a command line without a cluster and without Temporal, unless the arguments name some. */
export async function run(
  args: readonly string[],
  {
    env = {},
    files = {},
  }: { readonly env?: Readonly<Record<string, string>>; readonly files?: Readonly<Record<string, string>> } = {},
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let out = '';
  let err = '';
  const code = await main(args, {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    env: { TEMPORAL_CONFIG_FILE: '/nonexistent', ...env },
    signal: new AbortController().signal,
    now: () => NOW,
    read(file) {
      const text = files[file];
      if (text === undefined) throw new CliError({ exit: 'usage', message: `-f ${file}: no such file` });
      return text;
    },
  });
  return { code, out, err };
}
