import { createMetrics } from './metrics';

/** docs/reference/metrics.md, in Markdown: every metric of the registry. Pure; `npm run generate` writes it. */
export function metricsPage(): string {
  const rows = createMetrics()
    .registry.getMetricsAsArray()
    .map((metric) => {
      const { name, help, type, labelNames } = metric as unknown as Described;
      return `| \`${name}\` | ${type} | ${labelNames.map((label) => `\`${label}\``).join(', ')} | ${help} |`;
    });
  return `<!-- Made by \`npm run generate\`; edit telemetry/metrics.ts instead. -->

# Metrics

What \`/metrics\` tells of the product itself; [telemetry.md](../telemetry.md) says who tells what, and what else is there. A histogram NAME is read as
\`NAME_bucket\`, \`NAME_sum\` and \`NAME_count\`.

| Metric | Type | Labels | Meaning |
| --- | --- | --- | --- |
${rows.join('\n')}
`;
}

/** What a metric of the library knows of itself; its types leave it out. */
interface Described {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labelNames: readonly string[];
}
