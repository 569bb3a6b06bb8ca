import type { GlobalFlags } from '../flags';
import type { Flag, Tree } from './tree';

/** What may stand at the end of a line. */
export type Offer =
  | { readonly kind: 'words'; readonly words: readonly { readonly word: string; readonly summary?: string }[] }
  /** Of the cluster and namespace that the line names. */
  | { readonly kind: 'workspaces'; readonly flags: GlobalFlags }
  | { readonly kind: 'files' };

const NOTHING: Offer = { kind: 'words', words: [] };

/** What the last of these words may become; they are those after the program's name. */
export function offerFor({ options, commands }: Tree, words: readonly string[]): Offer {
  const last = words.at(-1) ?? '';
  const plain: string[] = [];
  const values = new Map<string, string>();
  let pending: Flag | undefined;
  for (const word of words.slice(0, -1)) {
    const known = [...(commands.find(({ name }) => name === plain[0])?.options ?? []), ...options];
    if (pending !== undefined) {
      values.set(pending.long, word);
      pending = undefined;
    } else if (word.startsWith('-')) {
      pending = known.find(({ short, long, takesValue }) => takesValue && (word === short || word === long));
    } else plain.push(word);
  }
  if (pending !== undefined) return pending.isFile ? { kind: 'files' } : chosen(pending.choices, last);

  const command = commands.find(({ name }) => name === plain[0]);
  const flags = [...(command?.options ?? []), ...options];
  if (last.startsWith('-')) {
    return starting(
      flags.map(({ long, description }) => ({ word: long, summary: description })),
      last,
    );
  }
  if (plain.length === 0)
    return starting(
      commands.map(({ name, summary }) => ({ word: name, summary })),
      last,
    );
  if (command === undefined || plain.length > 1 || command.argument === 'none') return NOTHING;
  if (command.argument !== 'workspace') return chosen(command.argument, last);
  const [namespace, context, kubeconfig] = ['--namespace', '--context', '--kubeconfig'].map((long) => values.get(long));
  return {
    kind: 'workspaces',
    flags: {
      ...(namespace !== undefined && { namespace }),
      ...(context !== undefined && { context }),
      ...(kubeconfig !== undefined && { kubeconfig }),
    },
  };
}

function chosen(choices: readonly string[], last: string): Offer {
  return starting(
    choices.map((word) => ({ word })),
    last,
  );
}

function starting(all: readonly { readonly word: string; readonly summary?: string }[], last: string): Offer {
  return { kind: 'words', words: all.filter(({ word }) => word.startsWith(last)) };
}
