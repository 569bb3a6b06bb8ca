import { controllerRevision, controllerRevisionName, specHash } from '../../../manifests/controller-revision';
import { asYaml, QUICK_START, workspace } from './fixtures';

describe('the ControllerRevision', () => {
  it('records the specification', () => {
    expect(asYaml(controllerRevision(workspace(QUICK_START), 2))).toMatchSnapshot();
  });

  it('has the same hash for the same specification, however it is written', () => {
    const { resource, inference } = QUICK_START;
    const { labelSelector, instanceType } = resource;
    const reordered = workspace({ inference, resource: { labelSelector, instanceType } }, { generation: 7 });
    expect(specHash(reordered)).toBe(specHash(workspace(QUICK_START)));
    expect(specHash(reordered)).toMatch(/^[0-9a-f]{64}$/);
  });

  it('has another hash for another specification, and comes back with it', () => {
    const changed = workspace({ ...QUICK_START, inference: { ...QUICK_START.inference, config: 'options' } });
    expect(specHash(changed)).not.toBe(specHash(workspace(QUICK_START)));
  });

  it('is named by the Workspace and five digits', () => {
    expect(controllerRevisionName('ws', 'abcdef0123')).toBe('ws-abcde');
  });
});
