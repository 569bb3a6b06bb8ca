import { templateStatefulSet } from '../../../manifests/template-stateful-set';
import { asYaml, CONFIGURATION, ONE_V100, QUICK_START, workspace } from './fixtures';

const { layout: _, ...candidate } = ONE_V100;

function render(template: object) {
  return templateStatefulSet({
    workspace: workspace({ resource: QUICK_START.resource, inference: { template } }),
    candidate,
    revision: 1,
    configuration: CONFIGURATION,
  });
}

describe('the StatefulSet of a user’s own template', () => {
  it('adds labels, tolerations and the Workspace’s nodes', () => {
    const template = {
      metadata: { labels: { team: 'ai' }, annotations: { note: 'mine' } },
      spec: { containers: [{ name: 'main', image: 'registry.example/mine:1', ports: [{ containerPort: 5000 }] }] },
    };
    expect(asYaml(render(template))).toMatchSnapshot();
  });

  it('lets the user’s affinity hold as well', () => {
    const zone = (name: string) => ({
      matchExpressions: [{ key: 'topology.kubernetes.io/zone', operator: 'In', values: [name] }],
    });
    const podAffinity = {
      requiredDuringSchedulingIgnoredDuringExecution: [
        { labelSelector: { matchLabels: { app: 'cache' } }, topologyKey: 'kubernetes.io/hostname' },
      ],
    };
    const users = {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [zone('a'), zone('b'), {}] },
        preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, preference: zone('a') }],
      },
      podAffinity,
    };
    const template = {
      spec: {
        affinity: users,
        tolerations: [{ key: 'mine', operator: 'Exists' }],
        containers: [{ name: 'main', image: 'registry.example/mine:1' }],
      },
    };
    expect(asYaml(render(template).spec.template.spec?.affinity)).toMatchSnapshot();
    expect(render(template).spec.template.spec?.tolerations?.[0]).toEqual({ key: 'mine', operator: 'Exists' });
  });
});
