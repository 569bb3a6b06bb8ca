import { outputClaim, outputClaimName } from '../../../../manifests/tuning/output-claim';
import { asYaml } from '../fixtures';
import { TUNING_PLAN, tuningWorkspace } from './fixtures';

describe('the claim of the results', () => {
  it('asks for the disk that the plan names, and goes with the Workspace', () => {
    expect(asYaml(outputClaim({ workspace: tuningWorkspace(), claim: TUNING_PLAN.claim! }))).toMatchSnapshot();
  });

  it('has a valid name, whatever the length of the Workspace’s', () => {
    expect(outputClaimName('tune-phi-3')).toBe('tune-phi-3-results');
    const names = [outputClaimName(`${'x'.repeat(62)}a`), outputClaimName(`${'x'.repeat(62)}b`)];
    expect(names.filter((name) => !/^[a-z0-9][a-z0-9-]{0,62}$/.test(name))).toEqual([]);
    expect(new Set(names).size).toBe(2);
  });
});
