import { randomUUID } from 'node:crypto';

import { ArmRefusal, enveloped, unauthorized } from './errors';
import type { Answer, RecordedRequest } from './types';

const LIFETIME_S = 3_600;

/** One valid bearer token at a time, and the endpoint of the identity platform that gives it. */
export class Tokens {
  #valid = newToken();

  get valid(): string {
    return this.#valid;
  }

  rotate(): void {
    this.#valid = newToken();
  }

  /** Throws 401 as ARM says it. */
  check({ headers }: RecordedRequest): void {
    const { authorization } = headers;
    if (authorization === undefined) {
      throw new ArmRefusal(
        unauthorized('AuthenticationFailed', "Authentication failed. The 'Authorization' header is missing."),
      );
    }
    if (authorization !== `Bearer ${this.#valid}`) throw new ArmRefusal(unauthorized());
  }

  /** `GET /<tenant>/v2.0/.well-known/openid-configuration`: clients look up where they get tokens. */
  describe(authority: string): Answer {
    const body = {
      issuer: `${authority}/v2.0`,
      authorization_endpoint: `${authority}/oauth2/v2.0/authorize`,
      token_endpoint: `${authority}/oauth2/v2.0/token`,
      jwks_uri: `${authority}/discovery/v2.0/keys`,
    };
    return { status: 200, headers: {}, body };
  }

  /** `POST /<tenant>/oauth2/v2.0/token`, for clients with a secret or a federated token. */
  give({ body }: RecordedRequest): Answer {
    const form = new URLSearchParams(typeof body === 'string' ? body : '');
    const problem =
      form.get('grant_type') !== 'client_credentials'
        ? 'AADSTS70003: The app requested an unsupported grant type.'
        : form.get('client_id') === null
          ? "AADSTS900144: The request body must contain the following parameter: 'client_id'."
          : form.get('client_secret') === null && form.get('client_assertion') === null
            ? "AADSTS7000216: 'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type."
            : !(form.get('scope') ?? '').endsWith('/.default')
              ? `AADSTS70011: The provided value for the input parameter 'scope' is not valid. The scope ${form.get('scope') ?? ''} is not valid.`
              : undefined;
    if (problem !== undefined) {
      return { status: 400, headers: {}, body: { error: 'invalid_request', error_description: problem } };
    }
    return {
      status: 200,
      headers: {},
      body: { token_type: 'Bearer', expires_in: LIFETIME_S, ext_expires_in: LIFETIME_S, access_token: this.#valid },
    };
  }

  /** What `@azure/core-auth` calls a TokenCredential. */
  async getToken(): Promise<{ token: string; expiresOnTimestamp: number }> {
    return { token: this.#valid, expiresOnTimestamp: Date.now() + LIFETIME_S * 1_000 };
  }
}

function newToken(): string {
  return `fake.${Buffer.from(randomUUID()).toString('base64url')}.token`;
}

/** ARM refuses an `api-version` that is missing or that the provider does not have. */
export function checkApiVersion({ query }: RecordedRequest, provider: string, versions: readonly string[]): void {
  const given = query.getAll('api-version');
  if (given.length === 1 && versions.includes(given[0] ?? '')) return;
  if (given.length === 0) {
    throw new ArmRefusal(
      enveloped(400, {
        code: 'MissingApiVersionParameter',
        message: 'The api-version query parameter (?api-version=) is required for all requests.',
      }),
    );
  }
  throw new ArmRefusal(
    enveloped(400, {
      code: 'InvalidApiVersionParameter',
      message: `The api-version '${given.join(',')}' is invalid for ${provider}. The supported versions are '${versions.join(',')}'.`,
    }),
  );
}
