import { addressesOf, isBlockFree } from '../../../../local/node/addresses';

describe('addresses of a real node', () => {
  it('all follow from the block, in networks that do not overlap', () => {
    expect(addressesOf(150)).toEqual({
      host: '10.150.0.1',
      node: '10.150.0.2',
      linkRange: '10.150.0.0/24',
      podRange: '10.150.64.0/18',
      serviceRange: '10.150.128.0/18',
      apiService: '10.150.128.1',
      registry: '10.150.0.1:5000',
      link: 'kaito-150',
      cgroup: 'kaito-node-150',
    });
  });

  it.each([
    ['10.150.3.0/24', 'lies in it'],
    ['10.150.7.9', 'is one of its addresses'],
    ['10.0.0.0/8', 'has it inside'],
  ])('are not free when the network %s %s', (network) => {
    expect(isBlockFree(150, ['192.168.0.0/16', network])).toBe(false);
  });

  it('are free when no network overlaps', () => {
    expect(isBlockFree(150, ['10.149.0.0/16', '10.151.0.0/16', '172.17.0.0/16', 'fd00::/8', 'unreachable'])).toBe(true);
  });
});
