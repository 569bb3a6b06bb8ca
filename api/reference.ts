import { CAUSES, type CauseFacts } from './causes';
import { V1ALPHA1_INSTANCE_TYPE, workspaceStructural, type Structural } from './crd';
import { workspacePolicy } from './policy';
import type { Rule } from './schema';

/** The pages of docs/ that are made from the schema and from the table of causes, as Markdown. */

const GENERATED = '<!-- Made by `npm run generate`; edit api/ instead. -->';

/** docs/reference/workspace.md: every field, and everything that is refused at `kubectl apply`. */
export function workspaceReference(): string {
  const schema = workspaceStructural();
  const section = (name: string) => {
    const part = schema.properties?.[name];
    if (!part) throw new Error(`the schema has no ${name}`);
    return [`## ${name}`, part.description ?? '', table(FIELD_HEAD, fieldRows(name, part))];
  };
  return page([
    GENERATED,
    '# Workspace',
    'API group `kaito.sh`, kind `Workspace`, plural `workspaces`, short names `wk` and `wks`, namespaced. Versions `v1beta1` (stored) and ' +
      '`v1alpha1` have the same fields; they differ in two points: a `v1alpha1` manifest without `resource.instanceType` gets ' +
      `\`${V1ALPHA1_INSTANCE_TYPE}\`, a \`v1beta1\` manifest uses own nodes; and \`v1alpha1\` wants \`presetOptions.image\` where \`accessMode\` is \`private\`.`,
    'A Workspace has no `spec`: `resource`, `inference` and `tuning` stand beside `metadata`. The same is told by `kubectl explain workspace`.',
    ...section('resource'),
    ...section('inference'),
    ...section('tuning'),
    ...section('status'),
    '## Refused at kubectl apply',
    'The API server judges these itself; “…” stands for the value. What needs more than the Workspace (Secrets, ConfigMaps, nodes, whether a model ' +
      'fits on a size) is judged by the step Plan and told in the status.',
    table(['Field', 'Message'], [...ruleRows('', schema), ...policyRows()]),
  ]);
}

/** docs/failures.md: the causes of failures, and what each means for the user. */
export function failuresReference(): string {
  const rows = Object.entries<CauseFacts>(CAUSES).map(([cause, facts]) => [
    `\`${cause}\``,
    facts.retryable ? 'yes' : 'no',
    facts.nextCandidate ? 'yes' : 'no',
    facts.remedy,
  ]);
  return page([
    GENERATED,
    '# Failures',
    'Every failure has a cause. It is shown in `status.step.cause` and `status.attempts` of the Workspace, as reason of an Event, and as type of the ' +
      'failure in Temporal.',
    '“Tried again” means: by itself, with growing pauses (`status.step.nextTryTime` says when). While the step `Machines` waits, ' +
      '`status.step.deadlineTime` says when it gives up the machine that it waits for; in `Data` and `Training`, when `tuning.activeDeadlineSeconds` ends ' +
      'the training; in `Push`, when the machines are let go of and the push goes on without them. The other steps, `Serving` among them, wait for as ' +
      'long as it takes: a server that does not start in time is started again by Kubernetes, and told as trouble. Otherwise the Workspace rests in state `Failed` until it is ' +
      'changed, or until a retry is asked for: `kubectl annotate --overwrite workspace NAME kaito.sh/retry="$(date)"`. “Next size” means: the sizes of ' +
      '`resource.instanceTypes` are tried, too.',
    table(['Cause', 'Tried again', 'Next size', 'What to do'], rows),
  ]);
}

const FIELD_HEAD = ['Field', 'Type', 'Default', 'Meaning'];

function fieldRows(path: string, schema: Structural): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, child]) => {
    const required = schema.required?.includes(name) ?? false;
    const childPath = `${path}.${name}`;
    const row = [
      `\`${childPath}\``,
      typeOf(child) + (required ? ', required' : ''),
      child.default === undefined ? '' : `\`${JSON.stringify(child.default)}\``,
      [child.description, ...limits(child)].filter(Boolean).join(' '),
    ];
    return [
      row,
      ...fieldRows(childPath + (child.items ? '[]' : ''), child.items ?? child.additionalProperties ?? child),
    ];
  });
}

function typeOf(schema: Structural): string {
  if (schema.items) return `list of ${typeOf(schema.items)}`;
  if (schema.additionalProperties) return `map to ${typeOf(schema.additionalProperties)}`;
  return schema.format ?? schema.type ?? 'any';
}

function limits(schema: Structural): string[] {
  const values = schema.enum ?? schema.items?.enum;
  return [
    values && `One of ${values.map((value) => `\`${value}\``).join(', ')}.`,
    schema.minimum !== undefined && `At least ${schema.minimum}.`,
    schema.maxItems !== undefined && `At most ${schema.maxItems}.`,
    schema['x-kubernetes-list-type'] === 'set' && 'No value twice.',
  ].filter((limit): limit is string => typeof limit === 'string');
}

function ruleRows(path: string, schema: Structural): string[][] {
  const own = (schema['x-kubernetes-validations'] ?? []).map((rule) => [
    `\`${`${path}${rule.fieldPath ?? ''}`.replace(/^[.]/, '') || '(Workspace)'}\``,
    told(rule),
  ]);
  const children = Object.entries(schema.properties ?? {}).map(([name, child]) => ruleRows(`${path}.${name}`, child));
  return [...own, ...children.flat(), ...(schema.items ? ruleRows(`${path}[]`, schema.items) : [])];
}

function policyRows(): string[][] {
  return workspacePolicy().spec.validations.map((validation) => {
    const [, field = '', message = ''] = /^(.*?): (.*)$/s.exec(told(validation)) ?? [];
    return [`\`${field}\``, message];
  });
}

/** The words of a message; what CEL fills in becomes “…”. */
function told(rule: Pick<Rule, 'message' | 'messageExpression'>): string {
  if (rule.message !== undefined) return rule.message;
  // Strings that only look something up are no words.
  const expression = (rule.messageExpression ?? '').replace(/\{'[^}]*\}\[[^\]]*\]|[\w.]+\['[^']*'\]/g, 'value');
  const parts = expression.split(/'((?:[^'\\]|\\.)*)'/);
  const words = parts.map((part, index) => (index % 2 === 1 ? part.replaceAll("\\'", "'") : part === '' ? '' : '…'));
  return words.join('').replace(/^…/, '').replace(/…+/g, '…');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function page(blocks: readonly string[]): string {
  return `${blocks.join('\n\n')}\n`;
}
