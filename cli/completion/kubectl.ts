import { toError } from '../../api/to-error';
import { RESOURCES } from '../../kubernetes/resources';
import { openCluster } from '../cluster';
import type { GlobalFlags } from '../flags';
import type { Io } from '../io';
import { program } from '../program';
import { offerFor } from './complete';
import { treeOf } from './tree';

/** What kubectl's shell completion reads after the offers, as cobra's ShellCompDirective. */
const DIRECTIVE = { files: 0, error: 1, noFiles: 4 } as const;
/** Who presses Tab does not wait longer. */
const PATIENCE_MS = 3_000;

/**
 * The program `kubectl_complete-kaito`, which kubectl (1.26 and newer) asks when Tab is pressed after `kubectl kaito`: prints one offer a line, its
 * meaning behind a tab, and a colon with the directive at the end.
 */
export async function completeForKubectl(words: readonly string[], io: Io): Promise<void> {
  const { command } = program(io, () => undefined);
  const offer = offerFor(treeOf(command), words);
  const print = (lines: readonly string[], directive: number): void =>
    io.out([...lines, `:${directive}`, ''].join('\n'));
  switch (offer.kind) {
    case 'files':
      return print([], DIRECTIVE.files);
    case 'words':
      return print(
        offer.words.map(({ word, summary }) => (summary === undefined ? word : `${word}\t${summary}`)),
        DIRECTIVE.noFiles,
      );
    case 'workspaces':
      try {
        const names = await workspacesOf(offer.flags, io.signal);
        return print(
          names.filter((name) => name.startsWith(words.at(-1) ?? '')),
          DIRECTIVE.noFiles,
        );
      } catch (error) {
        // Shells drop it; who runs the program by hand sees it.
        io.err(`error: ${toError(error).message}\n`);
        return print([], DIRECTIVE.error);
      }
  }
}

async function workspacesOf(flags: GlobalFlags, signal: AbortSignal): Promise<readonly string[]> {
  const cluster = openCluster(flags);
  try {
    const { items } = await cluster.client.list(
      RESOURCES.workspaces,
      { namespace: flags.namespace ?? cluster.namespace },
      { signal, timeoutMs: PATIENCE_MS, metadataOnly: true },
    );
    return items.map(({ metadata }) => metadata.name);
  } finally {
    await cluster.close();
  }
}
