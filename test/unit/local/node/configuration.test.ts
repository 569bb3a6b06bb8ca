import { addressesOf } from '../../../../local/node/addresses';
import {
  cniConfiguration,
  containerdConfiguration,
  kubeProxyConfiguration,
  kubeletConfiguration,
  registryConfiguration,
  registryHosts,
  type NodeFacts,
} from '../../../../local/node/configuration';
import { nodePaths } from '../../../../local/node/paths';

const FACTS: NodeFacts = {
  addresses: addressesOf(150),
  at: nodePaths('/environment'),
  cgroupVersion: 1,
  snapshotter: 'overlayfs',
  nodeName: 'real',
};

describe('configuration of the programs of a real node', () => {
  it('is this for the kubelet', () => {
    expect(kubeletConfiguration(FACTS)).toMatchSnapshot();
  });

  it('asks the kubelet to put up with version 1 of control groups only where that is the version', () => {
    expect(kubeletConfiguration(FACTS)).toHaveProperty('failCgroupV1', false);
    expect(kubeletConfiguration({ ...FACTS, cgroupVersion: 2 })).not.toHaveProperty('failCgroupV1');
  });

  it('is this for kube-proxy', () => {
    expect(kubeProxyConfiguration(FACTS)).toMatchSnapshot();
  });

  it('is this for containerd, the network of pods and the registry', () => {
    expect(containerdConfiguration(FACTS)).toMatchSnapshot();
    expect(registryHosts(FACTS.addresses)).toMatchSnapshot();
    expect(cniConfiguration(FACTS)).toMatchSnapshot();
    expect(registryConfiguration(FACTS)).toMatchSnapshot();
  });
});
