import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, rmdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { stringify } from 'yaml';

import { apiServerUrl, servingCertificate } from './api-server';
import { nodeEnvironment, type RealNode } from './node/environment';
import { pickPorts } from './ports';
import type { ProgramName } from './programs';
import { PORT_NAMES, paths, writeState, type ComponentName, type Parts, type PortName, type State } from './state';

/** A running environment: where its parts answer. */
export interface Environment {
  readonly dir: string;
  readonly parts: Parts;
  /** File; undefined without Kubernetes. */
  readonly kubeconfig?: string;
  readonly temporal?: { readonly address: string; readonly namespace: string; readonly uiUrl: string };
  readonly realNode?: RealNode;
  /** For a process that is to use it: KUBECONFIG, TEMPORAL_*, what the product needs to know of it, PATH with kubectl and temporal. */
  readonly variables: Readonly<Record<string, string>>;
  /** Shell-sourceable file with the same. */
  readonly envFile: string;
  /** kubectl and temporal. */
  readonly bin: string;
  readonly logs: string;
}

const TEMPORAL_NAMESPACE = 'default';
const LOG_TAIL_LINES = 15;

/** Makes the files that every component relies on. */
export async function lay(
  dir: string,
  parts: Parts,
  programs: State['programs'],
  preferred: Readonly<Partial<Record<PortName, number>>>,
): Promise<State> {
  const at = paths(dir);
  for (const folder of [at.bin, at.logs, at.data, at.pki]) await mkdir(folder, { recursive: true, mode: 0o700 });
  const token = randomBytes(16).toString('hex');
  await writeFile(at.tokens, `${token},admin,admin,"system:masters"\n`, { mode: 0o600 });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  await writeFile(at.serviceAccountKey, privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 });
  const state = { parts, programs, token, ports: await pickPorts(PORT_NAMES, preferred), processes: {} };
  await writeState(dir, state);
  return state;
}

/** Writes the kubeconfig, once the API server has its certificate. */
export async function writeKubeconfig(dir: string, state: State): Promise<void> {
  const name = 'kaito-local';
  const certificate = await servingCertificate(dir);
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [
      {
        name,
        cluster: {
          server: apiServerUrl(state),
          'certificate-authority-data': Buffer.from(certificate ?? '').toString('base64'),
        },
      },
    ],
    users: [{ name: 'admin', user: { token: state.token } }],
    contexts: [{ name, context: { cluster: name, user: 'admin' } }],
  };
  await writeFile(paths(dir).kubeconfig, stringify(config), { mode: 0o600 });
}

/** Lays the programs that people run into one folder for PATH. */
export async function linkPrograms(dir: string, state: State): Promise<void> {
  for (const name of ['kubectl', 'temporal', 'etcd'] satisfies ProgramName[]) {
    const program = state.programs[name];
    if (program === undefined) continue;
    const link = path.join(paths(dir).bin, name);
    await rm(link, { force: true });
    await symlink(program.file, link);
  }
}

/** Removes what `up` wrote. */
export async function removeFiles(dir: string, keepLogs: boolean): Promise<void> {
  const at = paths(dir);
  const files = [
    at.state,
    at.kubeconfig,
    at.env,
    at.bin,
    at.data,
    at.pki,
    at.node,
    at.presets,
    ...(keepLogs ? [] : [at.logs]),
  ];
  // What a killed process had begun to write may still appear beside what is being removed.
  for (const file of files) await rm(file, { recursive: true, force: true, maxRetries: 5 });
}

/** Removes the environment's folder unless something is left in it. */
export async function removeIfEmpty(dir: string): Promise<void> {
  try {
    await rmdir(dir);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'ENOENT') throw error;
  }
}

/** Writes the shell-sourceable file. */
export async function writeEnvFile(dir: string, state: State): Promise<void> {
  await writeFile(paths(dir).env, shellFile(describe(dir, state).variables));
}

function shellFile(variables: Readonly<Record<string, string>>): string {
  const quote = (value: string) => `'${value.replaceAll("'", String.raw`'\''`)}'`;
  const line = ([name, value]: [string, string]) =>
    name === 'PATH'
      ? `export PATH=${quote(value.split(path.delimiter)[0] ?? '')}:"$PATH"`
      : `export ${name}=${quote(value)}`;
  return `${Object.entries(variables).map(line).join('\n')}\n`;
}

/** The environment as others see it. */
export function describe(dir: string, state: State): Environment {
  const at = paths(dir);
  const { parts, ports } = state;
  const temporal = {
    address: `127.0.0.1:${ports.temporal}`,
    namespace: TEMPORAL_NAMESPACE,
    uiUrl: `http://127.0.0.1:${ports.temporalUi}`,
  };
  return {
    dir,
    parts,
    ...(parts.kubernetes ? { kubeconfig: at.kubeconfig } : {}),
    ...(parts.temporal === false ? {} : { temporal }),
    ...(state.node === undefined ? {} : { realNode: nodeEnvironment(state.node) }),
    variables: {
      // The simulated cluster's provider, so that `npm start` works as it is.
      ...(parts.kubernetes ? { KUBECONFIG: at.kubeconfig, KAITO_NODE_CLASS_PROFILE: 'kwok' } : {}),
      ...(parts.temporal === false
        ? {}
        : {
            TEMPORAL_ADDRESS: temporal.address,
            TEMPORAL_NAMESPACE: temporal.namespace,
            KAITO_TEMPORAL_UI: temporal.uiUrl,
          }),
      PATH: `${at.bin}${path.delimiter}${process.env.PATH ?? ''}`,
    },
    envFile: at.env,
    bin: at.bin,
    logs: at.logs,
  };
}

/** The last lines of a component's log. */
export async function logTail(dir: string, name: ComponentName): Promise<string> {
  const text = await readFile(paths(dir).log(name), 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
}
