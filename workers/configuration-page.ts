import { z } from 'zod';
import { configurationSchema } from './configuration';

/** What JSON Schema says of one variable. */
interface Variable {
  readonly description?: string;
  readonly default?: string;
  readonly enum?: readonly string[];
}

/** docs/configuration.md, in Markdown: every variable of the schema, in its order. Pure; `npm run generate` writes it. */
export function configurationPage(): string {
  const { properties = {} } = z.toJSONSchema(configurationSchema, { io: 'input' });
  const rows = Object.entries(properties).map(([name, variable]) => row(name, variable as Variable));
  return `<!-- Made by \`npm run generate\`; edit workers/configuration.ts instead. -->

# Configuration

Worker and bridge read these environment variables when they start. A variable that is unset or empty has its default. When a value is
wrong, the process ends at once and names every wrong variable. Durations are a number and a unit: \`90s\`, \`10m\`, \`2h\`.

| Variable | Default | Meaning |
| --- | --- | --- |
${rows.join('\n')}

They read besides:

- **Temporal**: \`TEMPORAL_ADDRESS\`, \`TEMPORAL_NAMESPACE\`, \`TEMPORAL_API_KEY\`, \`TEMPORAL_TLS…\`, or a profile of a configuration file, as
  [Temporal's environment configuration](https://docs.temporal.io/develop/environment-configuration) says.
- **Kubernetes**: \`KUBECONFIG\`, else \`~/.kube/config\`, else the service account of the pod.
`;
}

function row(name: string, { description = '', default: byDefault, enum: choices = [] }: Variable): string {
  const oneOf = choices.length > 0 ? ` One of ${choices.map(code).join(', ')}.` : '';
  const cells = [
    code(name),
    byDefault === undefined || byDefault === '' ? '' : code(byDefault),
    `${description}${oneOf}`,
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function code(text: string): string {
  return `\`${text}\``;
}
