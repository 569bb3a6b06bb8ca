import { RULES, UNKNOWN, type Meaning, type Rule } from '../activities/machines/azure/error-catalogue';

/** docs/azure-errors.md, in Markdown: every rule by which Azure's errors are judged, in its order. Pure; `npm run generate` writes it. */
export function azureErrorsPage(): string {
  return `<!-- Made by \`npm run generate\`; edit activities/machines/azure/error-catalogue.ts instead. -->

# What Azure's errors mean

Azure wraps errors in errors. All levels are looked at, the innermost first; the first row of this table that fits one of them decides, whatever wraps it. Codes and texts are regular expressions, without
regard to case. The cause is what \`status.step\` and \`status.attempts\` show ([failures.md](failures.md)); the remedy is shown with it.

| What Azure says | Cause | What is done | Remembered for all Workspaces | Remedy |
| --- | --- | --- | --- | --- |
${RULES.map(row).join('\n')}

- Quota of which the message says that its limit is 0 is remembered for an hour, not for ten minutes.
- A size that cannot be had as spot machines is remembered for an hour; as on-demand ones for the time in the table.
- Other answers of 400 to 499 are taken as a request that is wrong (InvalidInput), and all else as an error of Azure's own (${UNKNOWN.cause}).
- What is remembered is not asked of Azure again by any Workspace until then. To have it tried at once:
  \`temporal workflow signal -w coordinator/CLUSTER-ID --name forget\`.
`;
}

function row(rule: Rule): string {
  const { cause, remedy } = rule;
  return `| ${[saysOf(rule), cause, doneAbout(rule), remembered(rule.ttlMs), remedy].join(' | ')} |`;
}

function saysOf({ code, text, status }: Rule): string {
  const parts = [
    ...(code === undefined ? [] : [`code ${pattern(code)}`]),
    ...(text === undefined ? [] : [`text ${pattern(text)}`]),
    ...(status === undefined ? [] : [`HTTP ${status.join(', ')}`]),
  ];
  return parts.join(', ');
}

/** In a table cell a bar has to be escaped even in code. */
function pattern({ source }: RegExp): string {
  return `\`${source.replaceAll('|', '\\|')}\``;
}

function doneAbout({ scope, class: failureClass }: Meaning): string {
  switch (scope) {
    case 'size':
      return 'another priority or zone, then the next size';
    case 'subscription':
      return 'the next size';
    case 'family':
    case 'region':
      return 'spot, where allowed; else the next size';
    case 'spot':
      return 'on-demand, where allowed';
    case 'zone':
      return 'the next zone';
    case 'placement':
      return 'the next zone, priority or size';
    case 'disk':
      return 'a managed disk';
    case 'reservation':
      return 'the same without the reservation';
    case 'request':
      return doneAboutRequest(failureClass);
  }
}

function doneAboutRequest(failureClass: Meaning['class']): string {
  switch (failureClass) {
    case 'throttle':
      return 'waits as long as Azure says; no attempt is counted';
    case 'conflict':
      return 'waits and asks the same again, in bounds';
    case 'auth':
      return 'told; tried again with longer pauses';
    case 'invalid':
      return 'ends the step: a field or the configuration has to change';
    case 'internal':
    case 'quota':
    case 'capacity':
    case 'zone':
    case 'size':
      return 'tries the same again a few times, then the next size';
  }
}

function remembered(ttlMs: number): string {
  if (ttlMs === 0) return '–';
  const minutes = ttlMs / 60_000;
  return minutes < 60 ? `${minutes} min` : `${minutes / 60} h`;
}
