import { RENDEZVOUS_PORT } from '../../../manifests/group';
import { networkPolicy } from '../../../manifests/network-policy';
import { asYaml, QUICK_START, workspace } from './fixtures';
import { ourPods } from './pods';
import { tuningWorkspace } from './tuning/fixtures';

describe('the NetworkPolicy of a Workspace', () => {
  it('lets the model’s port in from anywhere, and keeps the pods from metadata services', () => {
    expect(asYaml(networkPolicy(workspace(QUICK_START), false))).toMatchSnapshot();
  });

  it('lets the pods of one model reach each other', () => {
    const same = { podSelector: { matchLabels: { 'kaito.sh/workspace': 'workspace-phi-3-mini' } } };
    expect(networkPolicy(workspace(QUICK_START), true).spec.ingress).toEqual([
      { ports: [{ protocol: 'TCP', port: 5000 }] },
      { from: [same] },
    ]);
  });

  it('lets nobody reach a training', () => {
    const { ingress, policyTypes } = networkPolicy(tuningWorkspace(), false).spec;
    expect([ingress, policyTypes]).toEqual([[], ['Ingress', 'Egress']]);
  });

  it('leaves the ports of the user’s own pods alone', () => {
    const template = { spec: { containers: [{ name: 'it', image: 'registry.example/it:1' }] } };
    const { ingress, policyTypes } = networkPolicy(workspace({ ...QUICK_START, inference: { template } }), false).spec;
    expect([ingress, policyTypes]).toEqual([undefined, ['Egress']]);
  });

  test.each(ourPods())('is about the pods that $name, and lets in what they serve at', ({ name, template }) => {
    const { podSelector, ingress = [] } = networkPolicy(
      name.startsWith('serve') ? workspace(QUICK_START) : tuningWorkspace(),
      false,
    ).spec;

    expect(template.metadata?.labels).toMatchObject(podSelector!.matchLabels!);
    const served = template.spec!.containers.flatMap(({ ports = [] }) => ports.map((port) => port.containerPort));
    // The pods of one model over several nodes meet at a port of their own, which is nobody else's.
    const forOthers = served.filter((port) => port !== RENDEZVOUS_PORT);
    expect(ingress.flatMap(({ ports = [] }) => ports.map(({ port }) => port))).toEqual(forOthers);
  });
});
