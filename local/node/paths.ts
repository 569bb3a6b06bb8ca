import path from 'node:path';

/** Files of the real node, in the folder `node` of the environment; the registry's data lie with the other data. */
export function nodePaths(dir: string) {
  const at = (...parts: string[]) => path.join(dir, 'node', ...parts);
  return {
    folder: at(),
    /** The first process of the node, by the machine's numbers. */
    pid: at('pid'),
    bin: at('bin'),
    kubelet: at('kubelet'),
    log: at('log'),
    volumes: path.join(dir, 'data', 'volumes'),
    kubeletConfig: at('kubelet.yaml'),
    kubeletKubeconfig: at('kubelet.kubeconfig'),
    kubeProxyConfig: at('kube-proxy.yaml'),
    kubeProxyKubeconfig: at('kube-proxy.kubeconfig'),
    containerdConfig: at('containerd.toml'),
    cni: at('cni'),
    cniConfig: at('cni', '10-kaito.conflist'),
    registryHosts: at('certs.d'),
    resolvConf: at('resolv.conf'),
    clientCertificate: at('kubelet-client.crt'),
    clientKey: at('kubelet-client.key'),
    registryConfig: at('registry.yaml'),
    htpasswd: at('htpasswd'),
    registryData: path.join(dir, 'data', 'registry'),
    pauseArchive: at('pause.tar'),
  };
}
