/** Exit codes; docs/cli.md is generated from this table. */
export const EXIT_CODES = {
  ok: { code: 0, meaning: 'done' },
  failed: {
    code: 1,
    meaning: 'what was asked for failed: nothing fits, the Workspace is `Failed`, a check of `doctor` fails',
  },
  usage: { code: 2, meaning: 'arguments, a manifest or a configuration that cannot be used' },
  notFound: { code: 3, meaning: 'no such Workspace, pod or history' },
  unreachable: { code: 4, meaning: 'the cluster or Temporal does not answer' },
  denied: { code: 5, meaning: 'not permitted: credentials or a role are missing' },
  late: { code: 6, meaning: 'the time of `--timeout` is over' },
  interrupted: { code: 130, meaning: 'interrupted' },
} as const;

export type ExitName = keyof typeof EXIT_CODES;

/** How a command ends: it calls this with what its exit code says, or throws. */
export type Done = (exit: ExitName) => void;
