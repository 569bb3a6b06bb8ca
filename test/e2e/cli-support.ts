import { main } from '../../cli/kaito';
import type { Io } from '../../cli/io';
import { useEnvironment } from '../environment';

/** One command line, as it ended. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface How {
  /** Files by the names under which the command reads them. */
  readonly files?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Arguments at the end, where they win. */
  readonly more?: readonly string[];
  /** Called with what is printed, as it is printed. */
  readonly onOut?: (text: string) => void;
}

/** Runs the command in this process, against nothing but what the arguments say. */
export async function run(args: readonly string[], { files = {}, signal, onOut }: How = {}): Promise<Ran> {
  let out = '';
  let err = '';
  const io: Io = {
    out(text) {
      out += text;
      onOut?.(text);
    },
    err(text) {
      err += text;
    },
    env: { TEMPORAL_CONFIG_FILE: '/nonexistent' },
    signal: signal ?? new AbortController().signal,
    now: () => new Date(),
    read(file) {
      const text = files[file];
      if (text === undefined) throw new Error(`no file ${file}`);
      return text;
    },
  };
  return { code: await main(args, io), out, err };
}

/** The same against the shared environment. */
export function kaito(namespace: string, args: readonly string[], how: How = {}): Promise<Ran> {
  const { kubeconfig, temporal } = useEnvironment();
  const where = ['--kubeconfig', kubeconfig, '--address', temporal.address, '--temporal-namespace', temporal.namespace];
  return run([...args, '-n', namespace, ...where, ...(how.more ?? [])], how);
}

/** What a command printed for scripts. */
export function json(ran: Ran): unknown {
  if (ran.code !== 0) throw new Error(`exit code ${ran.code}: ${ran.err}`);
  return JSON.parse(ran.out);
}
