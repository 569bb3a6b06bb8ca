import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parse, stringify } from 'yaml';

import { ROOT } from '../../local/defaults';
import { getPrograms } from '../../local/programs';
import { run } from '../../local/programs/run';

const RULES = path.join(ROOT, 'charts', 'kaito-temporal', 'alerts', 'kaito.yaml');
const DASHBOARD = path.join(ROOT, 'charts', 'kaito-temporal', 'dashboards', 'kaito.json');
/** Getting promtool for the first time takes minutes: it is built. */
const GET_WITHIN_MS = 20 * 60_000;

/** Series as promtool's tests write them, one value a minute: `a+bxn` is a, then n times b more. */
type Series = Readonly<Record<string, string>>;

/** When an alert fires, and what comes close to it and does not. All is judged after two hours. */
const CASES: Readonly<Record<string, { readonly fires: Series; readonly rests: Series }>> = {
  KaitoWorkspaceStuck: {
    fires: { 'kaito_oldest_step_age_seconds{step="Machines"}': '0+60x120' },
    rests: {
      'kaito_oldest_step_age_seconds{step="Ready"}': '0+60x120',
      'kaito_oldest_step_age_seconds{step="Serving"}': '0+30x120',
    },
  },
  KaitoAttemptsExhausted: {
    fires: { 'kaito_workspaces{kind="tuning",state="Failed",step="Failed",cause="TrainingCrashed"}': '1x120' },
    rests: { 'kaito_workspaces{kind="inference",state="Pending",step="Machines",cause="Quota"}': '7x120' },
  },
  KaitoInternalErrors: {
    fires: { 'kaito_step_attempts_total{step="Plan",outcome="retried",cause="Internal"}': '0+1x120' },
    rests: {
      'kaito_step_attempts_total{step="Machines",outcome="retried",cause="Capacity"}': '0+9x120',
      'kaito_step_attempts_total{step="Plan",outcome="retried",cause="Internal"}': '3x120',
    },
  },
  KaitoReleaseStuck: {
    fires: { 'kaito_oldest_step_age_seconds{step="Release"}': '0+60x120' },
    rests: { 'kaito_oldest_step_age_seconds{step="Release"}': '0+10x120' },
  },
  KaitoOrphanedMachines: {
    // A release that hangs: one worker told of the machines, another tries.
    fires: {
      'kaito_orphaned_machines{provider="azure",instance_type="A100",pod="a"}': '_x70 2x35 _x15',
      'kaito_orphaned_machines{provider="azure",instance_type="A100",pod="b"}': '_x90 2x30',
    },
    // A sweep that goes well: seen at minute 85, released at 105 by one worker, while the other keeps for 15 minutes what it told then.
    rests: {
      'kaito_orphaned_machines{provider="azure",instance_type="A100",pod="a"}': '_x85 2x20 _x15',
      'kaito_orphaned_machines{provider="azure",instance_type="A100",pod="b"}': '_x95 2x25',
    },
  },
  KaitoMachinesUnhealthy: {
    fires: { 'kaito_machines{provider="karpenter",instance_type="A100",phase="Lost"}': '1x120' },
    rests: {
      'kaito_machines{provider="karpenter",instance_type="A100",phase="Ready"}': '5x120',
      'kaito_machines{provider="karpenter",instance_type="A100",phase="NotReady"}': '_x110 1x10',
    },
  },
  KaitoWorkerDown: {
    fires: { 'kaito_build_info{role="bridge",pod="b"}': '1x120', 'kaito_build_info{role="worker",pod="a"}': '1x100' },
    rests: {
      'kaito_build_info{role="worker",pod="a"}': '1x60',
      'kaito_build_info{role="worker",pod="c"}': '_x60 1x60',
    },
  },
  KaitoBridgeDown: {
    fires: { 'kaito_build_info{role="worker",pod="a"}': '1x120' },
    rests: { 'kaito_build_info{role="bridge",pod="b"}': '1x120' },
  },
  KaitoNoPollers: {
    fires: {
      'kaito_health_check{check="worker",pod="a"}': '1x60 0x60',
      'kaito_health_check{check="worker",pod="b"}': '0x120',
    },
    rests: {
      'kaito_health_check{check="worker",pod="a"}': '1x120',
      'kaito_health_check{check="worker",pod="b"}': '0x120',
    },
  },
  KaitoBridgeLag: {
    fires: {
      'kaito_bridge_lag_seconds_bucket{reason="generation",le="1"}': '0+9x120',
      'kaito_bridge_lag_seconds_bucket{reason="generation",le="60"}': '0+10x120',
      'kaito_bridge_lag_seconds_bucket{reason="generation",le="+Inf"}': '0+10x120',
    },
    rests: {
      'kaito_bridge_lag_seconds_bucket{reason="generation",le="1"}': '0+10x120',
      'kaito_bridge_lag_seconds_bucket{reason="generation",le="+Inf"}': '0+10x120',
      'kaito_bridge_queue_depth{state="delayed"}': '900x120',
      'kaito_bridge_queue_depth{state="ready"}': '30x120',
    },
  },
  KaitoWorkersBusy: {
    fires: {
      'temporal_workflow_task_schedule_to_start_latency_seconds_bucket{le="1"}': '0+1x120',
      'temporal_workflow_task_schedule_to_start_latency_seconds_bucket{le="60"}': '0+5x120',
      'temporal_workflow_task_schedule_to_start_latency_seconds_bucket{le="+Inf"}': '0+5x120',
    },
    rests: {
      'temporal_workflow_task_schedule_to_start_latency_seconds_bucket{le="1"}': '0+5x120',
      'temporal_workflow_task_schedule_to_start_latency_seconds_bucket{le="+Inf"}': '0+5x120',
    },
  },
  KaitoTemporalUnreachable: {
    fires: {
      'kaito_health_check{check="temporal-worker",pod="a"}': '1x60 0x60',
      'kaito_health_check{check="temporal-worker",pod="b"}': '1x60 0x60',
    },
    rests: {
      'kaito_health_check{check="temporal-worker",pod="a"}': '0x120',
      'kaito_health_check{check="temporal-worker",pod="b"}': '1x120',
    },
  },
  KaitoKubernetesUnreachable: {
    fires: { 'kaito_health_check{check="kubernetes",pod="a"}': '0x120' },
    rests: { 'kaito_health_check{check="kubernetes",pod="a"}': '1x118 0 0' },
  },
  KaitoApiThrottled: {
    fires: { 'kaito_kubernetes_request_duration_seconds_count{verb="patch",resource="pods",code="429"}': '0+60x120' },
    rests: { 'kaito_kubernetes_request_duration_seconds_count{verb="patch",resource="pods",code="409"}': '0+60x120' },
  },
  KaitoApiErrors: {
    fires: {
      'kaito_kubernetes_request_duration_seconds_count{verb="get",resource="pods",code="200"}': '0+90x120',
      'kaito_kubernetes_request_duration_seconds_count{verb="get",resource="pods",code="503"}': '0+5x120',
      'kaito_kubernetes_request_duration_seconds_count{verb="get",resource="pods",code="0"}': '0+5x120',
    },
    rests: {
      'kaito_kubernetes_request_duration_seconds_count{verb="get",resource="pods",code="404"}': '0+90x120',
      'kaito_kubernetes_request_duration_seconds_count{verb="get",resource="pods",code="503"}': '0+1x120',
    },
  },
  KaitoWatchRestarts: {
    fires: { 'kaito_watch_errors_total{resource="workspaces"}': '0+2x120' },
    rests: { 'kaito_watch_restarts_total{resource="workspaces",how="reconnect"}': '0+2x120' },
  },
  KaitoWatchStale: {
    fires: { 'kaito_watch_age_seconds{resource="workspaces"}': '0+60x120' },
    rests: { 'kaito_watch_age_seconds{resource="workspaces"}': '700x120' },
  },
};

let promtool: string;
let folder: string;

beforeAll(async () => {
  promtool = (await getPrograms(['promtool'], (line) => process.stderr.write(`${line}\n`))).promtool.file;
  folder = await mkdtemp(path.join(tmpdir(), 'kaito-rules-'));
}, GET_WITHIN_MS);
afterAll(() => rm(folder, { recursive: true }));

async function check(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderrTail } = await run(promtool, args, { cwd: folder });
  if (code !== 0) throw new Error(`promtool ${args.join(' ')}:\n${stdout}\n${stderrTail}`);
  return stdout;
}

async function written(name: string, content: object): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, stringify(content));
  return file;
}

it('promtool accepts the rules', async () => {
  expect(await check('check', 'rules', RULES)).toContain('SUCCESS');
});

it('promtool accepts every query of the dashboard', async () => {
  const { panels } = JSON.parse(await readFile(DASHBOARD, 'utf8')) as {
    panels: readonly { id: number; targets?: readonly { expr: string; refId: string }[] }[];
  };
  const rules = panels.flatMap(({ id, targets = [] }) =>
    targets.map(({ expr, refId }) => ({
      record: `panel_${id}:${refId}`,
      expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$namespace', '.*'),
    })),
  );
  const file = await written('dashboard.yaml', { groups: [{ name: 'dashboard', rules }] });
  expect(await check('check', 'rules', file)).toContain(`${rules.length} rules found`);
});

it('each alert has its cases', async () => {
  const { groups } = parse(await readFile(RULES, 'utf8')) as { groups: readonly { rules: { alert: string }[] }[] };
  expect(Object.keys(CASES).toSorted()).toEqual(
    groups.flatMap(({ rules }) => rules.map(({ alert }) => alert)).toSorted(),
  );
});

interface Together {
  readonly alerts: string[];
  readonly series: Record<string, string>;
}

/** As many cases in one test as give no series two courses: each test of promtool opens a database of its own. */
function together(cases: readonly (readonly [string, Series])[]): readonly Together[] {
  const groups: Together[] = [];
  for (const [alert, series] of cases) {
    let group = groups.find((one) => Object.keys(series).every((name) => !(name in one.series)));
    if (group === undefined) groups.push((group = { alerts: [], series: {} }));
    group.alerts.push(alert);
    Object.assign(group.series, series);
  }
  return groups;
}

it.each(['fires', 'rests'] as const)('each alert %s when it should', async (what) => {
  const tests = together(Object.entries(CASES).map(([alert, its]) => [alert, its[what]])).map(({ alerts, series }) => ({
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: alerts.map((alert) => ({
      expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`,
      eval_time: '2h',
      exp_samples: [{ labels: '{}', value: what === 'fires' ? 1 : 0 }],
    })),
  }));
  const file = await written(`${what}.yaml`, { rule_files: [RULES], evaluation_interval: '1m', tests });
  expect(await check('test', 'rules', file)).toContain('SUCCESS');
});

it('a wrong expectation would be told', async () => {
  const file = await written('wrong.yaml', {
    rule_files: [RULES],
    evaluation_interval: '1m',
    tests: [
      {
        interval: '1m',
        input_series: [],
        promql_expr_test: [
          {
            expr: 'count(ALERTS{alertname="KaitoNoPollers"})',
            eval_time: '2h',
            exp_samples: [{ labels: '{}', value: 1 }],
          },
        ],
      },
    ],
  });
  await expect(check('test', 'rules', file)).rejects.toThrow('FAILED');
});
