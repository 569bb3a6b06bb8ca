import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { json } from 'node:stream/consumers';
import { promisify } from 'node:util';

/** What CI says of the runtime's Python packages: pip-audit itself, and a source of vulnerabilities that answers as it is told. */
const ROOT = path.resolve(__dirname, '../../..');
const exec = promisify(execFile);
/** The first one installs pip-audit. */
const TIMEOUT_MS = 240_000;

interface Query {
  readonly package: { readonly name: string; readonly ecosystem: string };
  readonly version: string;
}

interface Answer {
  readonly status?: number;
  readonly body: object;
}

let server: Server | undefined;
afterEach(() => server?.close());

async function audit(answer: (query: Query) => Answer) {
  const asked: string[] = [];
  server = createServer((request, response) => {
    void json(request).then((body) => {
      const query = body as Query;
      asked.push(`${query.package.name}==${query.version}`);
      const { status = 200, body: said } = answer(query);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(said));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/query`;
  const env = { ...process.env, PIP_AUDIT_VULNERABILITY_SERVICE: 'osv', PIP_AUDIT_OSV_URL: url };
  const running = exec(path.join(ROOT, '.ci', 'audit-python'), { env });
  const { code, stdout } = await running.then(
    (ended) => ({ code: 0, ...ended }),
    (error: { readonly code: number; readonly stdout: string }) => error,
  );
  return { code, asked, lines: stdout.trim().split('\n') };
}

const hole = (name: string, fixed?: string) => ({
  id: `HOLE-${name}`,
  summary: 'a hole',
  affected: [
    {
      package: { name, ecosystem: 'PyPI' },
      ranges: [{ type: 'ECOSYSTEM', events: [{ introduced: '0' }, ...(fixed === undefined ? [] : [{ fixed }])] }],
    },
  ],
});

const TOTAL = /^audited \d{3,} packages, found (\d+) vulnerabilities$/;

it(
  'fails for a hole that has a fix, naming the package; vLLM is asked for by its own name',
  async () => {
    const { code, asked, lines } = await audit(({ package: { name } }) => ({
      body: name === 'vllm' ? { vulns: [hole(name, '99.0')] } : {},
    }));
    const vllm = asked.find((one) => one.startsWith('vllm'));
    expect(vllm).toMatch(/^vllm==\d/);
    expect(asked).toEqual(
      expect.arrayContaining([expect.stringMatching(/^torch==/), expect.stringMatching(/^peft==/)]),
    );
    expect(code).toBe(1);
    expect(lines).toEqual([
      `HOLE-vllm: ${vllm?.replace('==', ' ') ?? ''}; fixed in 99.0`,
      expect.stringMatching(TOTAL),
    ]);
  },
  TIMEOUT_MS,
);

it(
  'tells a hole that nobody has mended yet, and passes',
  async () => {
    const { code, lines } = await audit(({ package: { name } }) => ({
      body: name === 'peft' ? { vulns: [hole(name)] } : {},
    }));
    expect(lines).toEqual([
      expect.stringMatching(/^HOLE-peft: peft \S+; there is no fix yet$/),
      expect.stringMatching(TOTAL),
    ]);
    expect(code).toBe(0);
  },
  TIMEOUT_MS,
);

it(
  'fails when the source could tell, and does not',
  async () => {
    const { code, lines } = await audit(() => ({ status: 500, body: {} }));
    expect(code).toBe(1);
    expect(lines).toEqual([expect.stringMatching(/^the audit failed: .+/)]);
  },
  TIMEOUT_MS,
);
