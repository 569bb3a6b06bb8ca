import { request, type Dispatcher } from 'undici';
import { loadCluster } from '../../kubernetes/kubeconfig';
import { useEnvironment } from '../environment';

/** What the API server says to Workspaces, for tests of the CRD and the admission policy: dry runs, so that nothing acts on them. */

/** JSON of any shape; in a patch, null removes. */
export interface Json {
  readonly [key: string]: unknown;
}

export type Version = 'v1alpha1' | 'v1beta1';

/** A refusal, as `kubectl apply` shows it; or the object as it would be stored. */
export type Answer = { readonly refused: string } | { readonly accepted: Json };

/** The API server's words around a message of a CEL rule. */
export function byRule(message: string, name = 'phi'): string {
  return `Workspace.kaito.sh "${name}" is invalid: ${message}`;
}

/** The same around a message of the OpenAPI schema; rules are not judged then. */
export function byShape(message: string): string {
  return byRule(
    `[${message}, <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation]`,
  );
}

/** The same around a message of the admission policy. */
export function byPolicy(message: string, name = 'phi'): string {
  const policy = 'workspaces.kaito.sh';
  return `${policy} "${name}" is forbidden: ValidatingAdmissionPolicy '${policy}' with binding '${policy}' denied request: ${message}`;
}

const NAMESPACE = 'admission';
const POLICY_PATIENCE_MS = 30_000;

export class Admission {
  private constructor(
    private readonly server: string,
    private readonly headers: Readonly<Record<string, string>>,
    private readonly dispatcher: Dispatcher,
  ) {}

  /** Returns when the API server has the CRD and the policy of the chart in force. */
  static async start(): Promise<Admission> {
    const cluster = loadCluster({ kubeconfig: useEnvironment().kubeconfig });
    const credentials = await cluster.credentials();
    const dispatcher = cluster.createDispatcher(credentials, null);
    const admission = new Admission(cluster.server.href.replace(/\/$/, ''), credentials.headers, dispatcher);
    await admission.ready();
    return admission;
  }

  async stop(): Promise<void> {
    await this.dispatcher.close();
  }

  create(manifest: Json, version: Version = 'v1beta1'): Promise<Answer> {
    return this.answer('POST', `${collection(version)}?dryRun=All`, manifest);
  }

  /** Creates it really, for tests of updates; returns a function that removes it. */
  async keep(manifest: Json, version: Version = 'v1beta1'): Promise<() => Promise<void>> {
    const answer = await this.answer('POST', collection(version), manifest);
    if ('refused' in answer) throw new Error(answer.refused);
    return async () => {
      await this.call('DELETE', `${collection('v1beta1')}/${nameOf(manifest)}`);
    };
  }

  update(name: string, patch: Json, version: Version = 'v1beta1'): Promise<Answer> {
    return this.answer('PATCH', `${collection(version)}/${name}?dryRun=All`, patch);
  }

  read(name: string, version: Version): Promise<Answer> {
    return this.answer('GET', `${collection(version)}/${name}`);
  }

  /** Writes the status really. */
  writeStatus(name: string, status: object): Promise<Answer> {
    return this.answer('PATCH', `${collection('v1beta1')}/${name}/status`, { status });
  }

  /** What kubectl prints its table from. */
  async table(version: Version): Promise<Json> {
    const { body } = await this.call(
      'GET',
      collection(version),
      undefined,
      'application/json;as=Table;v=v1;g=meta.k8s.io',
    );
    return body;
  }

  private async ready(): Promise<void> {
    await this.call('POST', '/api/v1/namespaces', { metadata: { name: NAMESPACE } });
    const refusable = inference({ metadata: { name: 'probe', annotations: { 'kaito.sh/runtime': 'none' } } });
    const deadline = Date.now() + POLICY_PATIENCE_MS;
    // The API server loads new policies in the background and says nowhere that it has.
    for (;;) {
      const { status, body } = await this.call('POST', `${collection('v1beta1')}?dryRun=All`, refusable);
      if (status === 422) return;
      if (Date.now() > deadline) throw new Error(`CRD or policy is not in force: ${JSON.stringify(body)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  private async answer(method: 'GET' | 'POST' | 'PATCH', path: string, object?: Json): Promise<Answer> {
    const { status, body } = await this.call(method, path, object);
    return status >= 400 ? { refused: body.message as string } : { accepted: body };
  }

  private async call(
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    object?: Json,
    accept = 'application/json',
  ) {
    const response = await request(`${this.server}${path}`, {
      method,
      dispatcher: this.dispatcher,
      headers: {
        ...this.headers,
        accept,
        'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
      },
      ...(object && { body: JSON.stringify(object) }),
    });
    return { status: response.statusCode, body: (await response.body.json()) as Json };
  }
}

function collection(version: Version): string {
  return `/apis/kaito.sh/${version}/namespaces/${NAMESPACE}/workspaces`;
}

function nameOf(object: Json): string {
  return (object.metadata as { readonly name: string }).name;
}

/** A valid inference Workspace, changed by a JSON merge patch. */
export function inference(patch: Json = {}): Json {
  return merged(
    {
      apiVersion: 'kaito.sh/v1beta1',
      kind: 'Workspace',
      metadata: { name: 'phi' },
      resource: { instanceType: 'Standard_NC24ads_A100_v4', labelSelector: { matchLabels: { apps: 'phi' } } },
      inference: { preset: { name: 'phi-4-mini-instruct' } },
    },
    patch,
  ) as Json;
}

/** A valid tuning Workspace, changed by a JSON merge patch. */
export function tuning(patch: Json = {}): Json {
  return merged(
    inference({
      inference: null,
      tuning: {
        preset: { name: 'phi-4-mini-instruct' },
        method: 'qlora',
        input: { urls: ['https://example.com/data.parquet?download=true'] },
        output: { image: 'registry.example.com/adapter:0.0.1', imagePushSecret: 'registry' },
      },
    }),
    patch,
  ) as Json;
}

/** JSON merge patch (RFC 7396). */
function merged(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value);
  }
  return result;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
