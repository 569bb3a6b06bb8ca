/**
 * A signal that aborts on Ctrl-C, SIGTERM or SIGHUP, instead of the process ending at once.
 *
 * The same Ctrl-C can arrive more than once (from the terminal and from a parent), so all later ones are ignored too.
 */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => controller.abort(new Error(`interrupted by ${signal}`)));
  }
  return controller.signal;
}
