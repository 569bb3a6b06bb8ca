import type { Command } from 'commander';
import type { Done } from '../exit-codes';
import { outputOption, printData, type Format } from '../output';
import type { Session } from '../session';
import { examine } from './checks';
import type { Finding } from './finding';

/** `kaito doctor`. */
export function doctorCommand(command: Command, session: Session, done: Done): void {
  command
    .command('doctor')
    .summary('check the installation, and say what to fix')
    .description(
      'Checks the cluster, the definitions and policies, permissions (yours, and those of the installed worker and bridge), settings of providers, storage, GPUs, and Temporal. Each line is ok, warn, fail or skip, with what to do. It writes nothing, and fails if a check does.',
    )
    .addOption(outputOption(['table', 'json', 'yaml']))
    .action(async ({ output }: { readonly output: Format }) => {
      const { io } = session;
      const findings: Finding[] = [];
      for await (const finding of examine(session)) {
        findings.push(finding);
        // One by one: a check that has to wait for an answer shows where it stands.
        if (output === 'table') io.out(lineOf(finding));
      }
      printData(io, output, () => findings);
      done(findings.some(({ result }) => result === 'fail') ? 'failed' : 'ok');
    });
}

function lineOf({ check, result, message, remedy }: Finding): string {
  const line = `${result.padEnd(4)}  ${check}: ${message}\n`;
  return remedy === undefined ? line : `${line}      ${remedy}\n`;
}
