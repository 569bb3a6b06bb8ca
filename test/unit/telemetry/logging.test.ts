import { setTimeout as delay } from 'node:timers/promises';

import { redactFields, redactText } from '../../../telemetry/redaction';
import { inScope } from '../../../telemetry/scope';
import { createLogger } from '../../../workers/logging';

/** A logger, and the lines it wrote. */
function recorded(level: 'debug' | 'info' = 'info') {
  const lines: Record<string, unknown>[] = [];
  const raw: string[] = [];
  const logger = createLogger(level, {
    write(line: string) {
      raw.push(line);
      lines.push(JSON.parse(line) as Record<string, unknown>);
    },
  });
  return { logger, lines, raw };
}

const HF = `hf_${'A1b2'.repeat(8)}`;
const JWT = `eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJrYWl0byJ9.${'s'.repeat(40)}`;

describe('what a line says', () => {
  it('names what the code is at work on, through awaits, timers and nested scopes', async () => {
    const { logger, lines } = recorded();
    await inScope({ fields: { workspace: 'team/phi', step: 'Plan' } }, async () => {
      await delay(1);
      await inScope({ fields: { attempt: 2 } }, async () => {
        await new Promise<void>((resolve) => setTimeout(resolve, 1));
        logger.info('asked', { step: 'Machines' });
      });
      logger.warn('waited');
    });
    logger.info('outside');

    expect(lines.map(({ msg, workspace, step, attempt }) => ({ msg, workspace, step, attempt }))).toEqual([
      { msg: 'asked', workspace: 'team/phi', step: 'Machines', attempt: 2 },
      { msg: 'waited', workspace: 'team/phi', step: 'Plan', attempt: undefined },
      { msg: 'outside', workspace: undefined, step: undefined, attempt: undefined },
    ]);
  });

  it('is not written below the level', () => {
    const { logger, lines } = recorded('info');
    logger.debug('detail');
    expect(lines).toEqual([]);
  });
});

describe('secrets', () => {
  it('are not written, wherever they stand', () => {
    const { logger, raw } = recorded();
    const pem = '-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nsecretsecret\n-----END RSA PRIVATE KEY-----';
    const error = Object.assign(new Error(`401 from https://user:hunter2hunter2@registry.example/v2/ with ${HF}`), {
      request: { headers: { authorization: 'Bearer abcdefghijklmnop', 'x-id': 'kept' } },
      cause: new Error(`token ${JWT} expired`),
    });
    logger.warn(`download of https://x.blob.example/f?sv=1&sig=c2lnbmF0dXJl%3D failed`, {
      error,
      nested: { deep: [{ password: 'pa55word', clientSecret: 's3cret-value', name: 'kept-name' }] },
      key: pem,
      config: '{"auths":{"ghcr.io":{"auth":"dXNlcjpwYXNz","identitytoken":"abcdefgh"}}}',
      connection: 'Endpoint=x;AccountKey=YWNjb3VudA==;',
    });

    const line = raw.join('');
    const secrets = [
      HF,
      'hunter2',
      'abcdefghijklmnop',
      JWT,
      JWT.split('.')[2] ?? '',
      'c2lnbmF0dXJl',
      'pa55word',
      's3cret-value',
      'MIIEowIBAAKCAQEA',
      'secretsecret',
      'dXNlcjpwYXNz',
      'abcdefgh',
      'YWNjb3VudA',
    ];
    expect(secrets.filter((secret) => line.includes(secret))).toEqual([]);
    expect(line).toContain('kept-name');
    expect(line).toContain('"x-id":"kept"');
    expect(line).toContain('registry.example/v2/');
    expect(() => JSON.parse(line) as unknown).not.toThrow();
  });

  it('what is no secret stays as it is', () => {
    const text =
      'look team/phi generation 3: https://huggingface.co/microsoft/phi-4?revision=main, hf_transfer, token=3';
    expect(redactText(text)).toBe(text);
    const fields = { tokensPerSecond: 12, secretName: 'my-secret', list: [1, 'a'], at: new Date(0), none: undefined };
    expect(redactFields(fields)).toEqual(fields);
  });

  it('fields that refer to themselves end', () => {
    const loop: Record<string, unknown> = { name: 'loop' };
    loop['self'] = loop;
    expect(JSON.stringify(redactFields({ loop }))).toContain('[deep]');
  });
});
