import { CHART, VALUE_SETS, manifests, useTools, type Manifest, type Values } from './support';

/** That the chart's policies are about the chart's own pods, and name ports that these have. A policy that is about nothing passes all that renders it. */
const tools = useTools({ withCluster: false });

type Labels = Readonly<Record<string, string>>;

interface PodTemplate {
  readonly metadata: { readonly labels: Labels };
  readonly spec: {
    readonly containers: readonly {
      readonly ports?: readonly { readonly name: string; readonly protocol?: string }[];
    }[];
  };
}

interface Peer {
  readonly podSelector?: { readonly matchLabels: Labels };
}

interface Port {
  readonly protocol: string;
  readonly port: string | number;
}

interface Policy extends Manifest {
  readonly spec: {
    readonly podSelector: { readonly matchLabels: Labels };
    readonly policyTypes: readonly string[];
    readonly ingress: readonly { readonly from?: readonly Peer[]; readonly ports: readonly Port[] }[];
    readonly egress: readonly { readonly to?: readonly Peer[]; readonly ports?: readonly Port[] }[];
  };
}

const WITH_PODS = ['Deployment', 'StatefulSet', 'Job'];

/** The chart's pods and policies, where traffic is limited and there is all that can be. */
async function render(values: Values): Promise<{ pods: readonly PodTemplate[]; policies: readonly Policy[] }> {
  const { config, networkPolicy, ...others } = values as { config?: Values; networkPolicy?: Values };
  const all = manifests(
    await tools().helm(['template', 'kt', CHART, '--namespace', 'kaito-system'], {
      ...others,
      config: { ...config, KAITO_WORKER_VERSIONING: true },
      networkPolicy: { ...networkPolicy, enabled: true },
    }),
  );
  return {
    pods: all
      .filter(({ kind }) => WITH_PODS.includes(kind))
      .map(({ spec }) => (spec as { readonly template: PodTemplate }).template),
    policies: all.filter((one): one is Policy => one.kind === 'NetworkPolicy'),
  };
}

function selected(pods: readonly PodTemplate[], labels: Labels): readonly PodTemplate[] {
  return pods.filter(({ metadata }) => Object.entries(labels).every(([key, value]) => metadata.labels[key] === value));
}

function portsOf(pods: readonly PodTemplate[]): readonly string[] {
  return pods.flatMap(({ spec }) =>
    spec.containers.flatMap(({ ports = [] }) => ports.map(({ name, protocol = 'TCP' }) => `${protocol} ${name}`)),
  );
}

const named = (ports: readonly Port[] = []) =>
  ports.filter(({ port }) => typeof port === 'string').map(({ protocol, port }) => `${protocol} ${port}`);

/** Those that policies depend on. */
const SETS = ['defaults', 'Temporal Cloud', 'worker versions', 'all that can be set'] as const;

describe.each(SETS)('where traffic is limited: %s', (set) => {
  let pods: readonly PodTemplate[];
  let policies: readonly Policy[];
  beforeAll(async () => {
    ({ pods, policies } = await render(VALUE_SETS[set] ?? {}));
  });

  it('each pod has one policy, which limits both ways', () => {
    const perPolicy = policies.map(({ spec }) => selected(pods, spec.podSelector.matchLabels));
    expect(perPolicy.map((some) => some.length)).toEqual(policies.map(() => 1));
    expect(new Set(perPolicy.flat())).toEqual(new Set(pods));
    for (const { spec } of policies) expect(spec.policyTypes).toEqual(['Ingress', 'Egress']);
  });

  it('its rules name pods of the release and ports that they have', () => {
    for (const { spec } of policies) {
      const own = portsOf(selected(pods, spec.podSelector.matchLabels));
      for (const { from = [], ports } of spec.ingress) {
        expect(own).toEqual(expect.arrayContaining(named(ports)));
        for (const { podSelector } of from)
          if (podSelector !== undefined) expect(selected(pods, podSelector.matchLabels)).toHaveLength(1);
      }
      for (const { to = [], ports } of spec.egress) {
        const theirs = to.flatMap(({ podSelector }) =>
          podSelector === undefined ? [] : selected(pods, podSelector.matchLabels),
        );
        expect(theirs).toHaveLength(to.filter(({ podSelector }) => podSelector !== undefined).length);
        expect(portsOf(theirs)).toEqual(expect.arrayContaining(named(ports)));
      }
    }
  });
});
