import { command } from './command';

/**
 * The API server's certificate towards the kubelet, so that logs and exec work. It is its own authority: the kubelet trusts this one
 * certificate.
 */
export async function makeKubeletClientCertificate(files: {
  readonly certificate: string;
  readonly key: string;
}): Promise<void> {
  await command('openssl', [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-noenc',
    '-days',
    '3650',
    '-subj',
    '/O=system:masters/CN=kube-apiserver-kubelet-client',
    '-addext',
    'extendedKeyUsage=clientAuth',
    '-keyout',
    files.key,
    '-out',
    files.certificate,
  ]);
}
