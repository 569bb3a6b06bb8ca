import { writeFile } from 'node:fs/promises';

import { stringify } from 'yaml';

/**
 * What the API server writes down: what pods and other holders of service accounts ask of it, with what they send; nothing of the
 * administrator, whose requests are the environment's own. Secrets are told by name only, as in any sensible audit log.
 */
const POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  // Watches and followed logs are told when they begin, and again when they end.
  omitStages: ['RequestReceived'],
  rules: [
    {
      level: 'Metadata',
      userGroups: ['system:serviceaccounts'],
      resources: [{ group: '', resources: ['secrets', 'serviceaccounts/token'] }],
    },
    { level: 'Request', userGroups: ['system:serviceaccounts'] },
    { level: 'None' },
  ],
};

/** Writes the policy that the API server reads when it starts. */
export async function writeAuditPolicy(file: string): Promise<void> {
  await writeFile(file, stringify(POLICY));
}

/** Arguments of an API server that audits so. */
export function auditArgs(policyFile: string, logFile: string): readonly string[] {
  return [
    `--audit-policy-file=${policyFile}`,
    `--audit-log-path=${logFile}`,
    '--audit-log-maxsize=200',
    '--audit-log-maxbackup=1',
  ];
}
