import { dnsLabel } from './digest';

/** Port of the model server in its pod; clients use the Service's port 80. */
export const HTTP_PORT = 5000;

/** Where the ConfigMap of `inference.config` is mounted; its file is `inference_config.yaml`. */
export const CONFIG_DIRECTORY = '/mnt/config';

/** The StatefulSet, its container and the clients' Service have the Workspace's name, as in KAITO. */
export function serviceName(workspaceName: string): string {
  return workspaceName;
}

/** The Service that gives the pods their names. */
export function headlessServiceName(workspaceName: string): string {
  return dnsLabel(`${workspaceName}-headless`);
}
