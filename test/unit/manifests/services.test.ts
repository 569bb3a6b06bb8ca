import { clientService, headlessService } from '../../../manifests/services';
import { asYaml, ONE_V100, QUICK_START, TWO_NODES, workspace } from './fixtures';

describe('the Services', () => {
  it('send requests to every ready pod', () => {
    expect(asYaml(clientService(workspace(QUICK_START), { ...ONE_V100, nodeCount: 3 }))).toMatchSnapshot();
  });

  it('send requests to the first pod when the model spans nodes', () => {
    expect(clientService(workspace(QUICK_START), TWO_NODES).spec?.selector).toEqual({
      'kaito.sh/workspace': 'workspace-phi-3-mini',
      'statefulset.kubernetes.io/pod-name': 'workspace-phi-3-mini-0',
    });
  });

  it.each([
    ['True', 'LoadBalancer'],
    ['true', 'ClusterIP'],
    ['False', 'ClusterIP'],
  ])('with annotation kaito.sh/enablelb %s are of type %s', (value, type) => {
    const exposed = workspace(QUICK_START, { annotations: { 'kaito.sh/enablelb': value } });
    expect(clientService(exposed, ONE_V100).spec?.type).toBe(type);
  });

  it('give pods their names before they are ready', () => {
    expect(asYaml(headlessService(workspace(QUICK_START)))).toMatchSnapshot();
  });
});
