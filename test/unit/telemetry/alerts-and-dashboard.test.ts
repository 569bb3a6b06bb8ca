import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';

import { ROOT } from '../../../local/defaults';
import { addProcessMetrics, createMetrics } from '../../../telemetry/metrics';
import { groupingsOf, selectorsOf } from './promql';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string; readonly runbook_url: string };
}

interface Panel {
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}

const chart = path.join(ROOT, 'charts', 'kaito-temporal');
const { groups } = parse(readFileSync(path.join(chart, 'alerts', 'kaito.yaml'), 'utf8')) as {
  groups: readonly { rules: readonly Rule[] }[];
};
const rules = groups.flatMap((group) => group.rules);
const dashboard = JSON.parse(readFileSync(path.join(chart, 'dashboards', 'kaito.json'), 'utf8')) as {
  panels: readonly Panel[];
};
const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => [title, expr] as const),
);
const expressions = [...rules.map(({ alert, expr }) => [alert, expr] as const), ...queries];

/** Put on by Prometheus or its operator, not by us. */
const OF_TARGETS = ['namespace', 'pod', 'instance', 'job'];

/** Series by name, with their labels. */
async function series(): Promise<ReadonlyMap<string, readonly string[]>> {
  const metrics = createMetrics();
  addProcessMetrics(metrics);
  const all = await metrics.registry.getMetricsAsJSON();
  return new Map(
    all.flatMap(({ name, type }) => {
      const { labelNames } = metrics.registry.getSingleMetric(name) as unknown as { labelNames: readonly string[] };
      const plain = [name, labelNames] as const;
      if ((type as unknown as string) !== 'histogram') return [plain];
      return [
        [`${name}_bucket`, [...labelNames, 'le']],
        [`${name}_sum`, labelNames],
        [`${name}_count`, labelNames],
      ] as (readonly [string, readonly string[]])[];
    }),
  );
}

describe('alerts and dashboard', () => {
  it('name metrics that exist, with labels that these have', async () => {
    const known = await series();
    const wrong = expressions.flatMap(([where, expression]) =>
      selectorsOf(expression).flatMap(({ metric, labels }) => {
        // Those of Temporal's SDK are compared with a running one in test/integration/telemetry.test.ts.
        if (metric.startsWith('temporal_')) return [];
        const has = known.get(metric);
        if (has === undefined) return [`${where}: there is no ${metric}`];
        const asked = [...labels, ...groupingsOf(expression)];
        return asked
          .filter((label) => ![...has, ...OF_TARGETS].includes(label))
          .filter((label) => selectorsOf(expression).every((other) => !known.get(other.metric)?.includes(label)))
          .map((label) => `${where}: ${metric} has no label ${label}`);
      }),
    );
    expect(wrong).toEqual([]);
    expect(expressions.length).toBeGreaterThan(50);
  });

  it('each metric of the product is on the dashboard or in an alert', async () => {
    const used = new Set(expressions.flatMap(([, expression]) => selectorsOf(expression).map(({ metric }) => metric)));
    const unused = createMetrics()
      .registry.getMetricsAsArray()
      .map(({ name }) => name)
      .filter((name) => !['', '_bucket', '_count'].some((suffix) => used.has(`${name}${suffix}`)));
    expect(unused).toEqual([]);
  });

  it('the reader of expressions sees what is there', () => {
    const expression =
      'histogram_quantile(0.9, sum by (le, b) (rate(x_bucket{a="y{z}",c=~"d"}[5m]))) > 3 or 1 - z{e!="f"} and on (i) w';
    expect(selectorsOf(expression)).toEqual([
      { metric: 'x_bucket', labels: ['a', 'c'] },
      { metric: 'z', labels: ['e'] },
      { metric: 'w', labels: [] },
    ]);
    expect(groupingsOf(expression)).toEqual(['le', 'b']);
  });
});

describe('alerts', () => {
  /** Anchors as GitHub makes them of headings. */
  const page = readFileSync(path.join(ROOT, 'docs', 'runbooks.md'), 'utf8');
  const sections = [...page.matchAll(/^## (.+)$/gm)].map(([, heading = '']) => heading);

  it('each has a runbook, and each runbook an alert', () => {
    expect(rules.map(({ alert }) => alert).toSorted()).toEqual(sections.toSorted());
    for (const { alert, annotations } of rules) {
      expect(annotations.runbook_url).toBe(`docs/runbooks.md#${alert.toLowerCase()}`);
    }
  });

  it('each runbook says what it means, what to look at and what to do', () => {
    for (const section of page.split(/^## /m).slice(1)) {
      expect(section).toMatch(/\*\*Means\*\*[\s\S]*\*\*Look\*\*[\s\S]*\*\*Do\*\*/);
    }
  });

  it('each waits for a while, and says how bad it is', () => {
    for (const rule of rules) {
      expect(rule).toMatchObject({
        alert: expect.stringMatching(/^Kaito[A-Z]/) as string,
        for: expect.stringMatching(/^\d+m$/) as string,
        labels: { severity: expect.stringMatching(/^(warning|critical)$/) as string },
      });
    }
  });
});

describe('dashboard', () => {
  it('each panel says what it shows, and none covers another', () => {
    const cells = new Set<string>();
    for (const { type, title, description, gridPos } of dashboard.panels) {
      expect(title).not.toBe('');
      if (type !== 'row') expect(description).toMatch(/\.$/);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(cells.has(`${x}/${y}`)).toBe(false);
          cells.add(`${x}/${y}`);
          expect(x).toBeLessThan(24);
        }
      }
    }
  });
});
