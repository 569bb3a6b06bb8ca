import { createSocket, type Socket } from 'node:dgram';
import { Resolver } from 'node:dns';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { allowedHosts, isPublic } from '../../../activities/tuning/addresses';
import { checkDatasetUrls, type DatasetUrlOptions } from '../../../activities/tuning/dataset-urls';
import type { Resolve } from '../../../activities/tuning/lookups';
import { CauseError } from '../../../api/causes';

/** The same table tests the program in the pods. */
const ADDRESSES = JSON.parse(
  readFileSync(path.join(__dirname, '../../../presets/runtime/tests/tune/addresses.json'), 'utf8'),
) as Readonly<Record<'public' | 'notPublic' | 'notNetworks', readonly string[]>>;

const servers: Server[] = [];
const sockets: Socket[] = [];
const requests: IncomingMessage[] = [];

beforeEach(() => {
  requests.length = 0;
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** The address of a new server, such as `127.0.0.1:4711`. */
async function serve(answer: RequestListener): Promise<string> {
  const server = createServer((request, response) => {
    requests.push(request);
    answer(request, response);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A server whose paths have the answers given. */
function serveStatus(status: number, headers: Record<string, string | number> = {}): Promise<string> {
  return serve((_request, response) => response.writeHead(status, headers).end());
}

/** A name server whose answer to each question is the next of `answers`, and a resolver that asks it. */
async function serveNames(answers: readonly string[]): Promise<{ resolve: Resolve; asked: () => number }> {
  const socket = createSocket('udp4');
  sockets.push(socket);
  let asked = 0;
  socket.on('message', (question, from) => {
    const address = answers[Math.min(asked++, answers.length - 1)] ?? '';
    // RFC 1035: the question's number, an answer without error, one question and one answer; a pointer to its name, A, IN, no time to live.
    const header = Buffer.from([question[0]!, question[1]!, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]);
    const name = question.subarray(12, question.indexOf(0, 12) + 5);
    socket.send(Buffer.concat([header, name, record]), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const resolver = new Resolver();
  resolver.setServers([`127.0.0.1:${socket.address().port}`]);
  return {
    asked: () => asked,
    resolve: (name, _options, callback) =>
      resolver.resolve4(name, (error, found) =>
        callback(
          error,
          (found ?? []).map((address) => ({ address, family: 4 })),
        ),
      ),
  };
}

function check(urls: readonly string[], options: Partial<DatasetUrlOptions> = {}) {
  return checkDatasetUrls(urls, {
    signal: new AbortController().signal,
    allowPrivateHosts: ['127.0.0.1'],
    ...options,
  });
}

async function failureOf(promise: Promise<unknown>) {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CauseError)) throw new Error(`no CauseError: ${String(error)}`);
  return error.failure;
}

describe('a dataset that can be had', () => {
  test('is told by size and format, in the order of its addresses', async () => {
    const host = await serve((request, response) => {
      const length = Number(/\d+/.exec(request.url ?? '')?.[0]);
      // The later ones answer first.
      setTimeout(() => response.writeHead(200, { 'content-length': length }).end(), 20 - length);
    });
    const names = [
      '1.parquet',
      '2.JSON',
      '3.jsonl',
      '4.ndjson.gz',
      '5.csv',
      '6.arrow',
      '7.txt',
      '8',
      '9.parquet/',
      '10.csv',
    ];
    const files = await check(names.map((name) => `http://${host}/data/${name}`));
    expect(files.map(({ bytes, format }) => [bytes, format])).toEqual([
      [1, 'parquet'],
      [2, 'json'],
      [3, 'jsonl'],
      [4, 'jsonl'],
      [5, 'csv'],
      [6, 'arrow'],
      [7, undefined],
      [8, undefined],
      [9, 'parquet'],
      [10, 'csv'],
    ]);
    expect(new Set(requests.map(({ method }) => method))).toEqual(new Set(['HEAD']));
  });

  test('keeps its query and credentials to its server', async () => {
    const host = await serveStatus(200, { 'content-length': 5 });
    const files = await check([`http://me:p%40ss@${host}/a.csv?sig=secret#part`]);
    expect(files).toEqual([{ url: `http://${host}/a.csv`, bytes: 5, format: 'csv' }]);
    expect(requests[0]?.url).toBe('/a.csv?sig=secret');
    expect(requests[0]?.headers.authorization).toBe(`Basic ${Buffer.from('me:p@ss').toString('base64')}`);
  });

  test.each([400, 403, 405, 501])('whose server answers HEAD with %d is asked for its first byte', async (refusal) => {
    const host = await serve((request, response) => {
      if (request.method === 'HEAD') response.writeHead(refusal).end();
      else response.writeHead(206, { 'content-range': 'bytes 0-0/1234' }).end('x');
    });
    expect(await check([`http://${host}/a.csv`])).toMatchObject([{ bytes: 1234 }]);
    expect(requests.map(({ method, headers }) => [method, headers.range])).toEqual([
      ['HEAD', undefined],
      ['GET', 'bytes=0-0'],
    ]);
  });

  test('of a server without ranges is not downloaded', async () => {
    const host = await serve((request, response) => {
      response.writeHead(request.method === 'HEAD' ? 405 : 200, { 'content-length': 2 ** 40 });
      if (request.method === 'GET') response.write('x');
      else response.end();
    });
    expect(await check([`http://${host}/a.csv`])).toMatchObject([{ bytes: 2 ** 40 }]);
  });

  test('may be of a size that nobody tells', async () => {
    const host = await serve((_request, response) => response.writeHead(200, { 'transfer-encoding': 'chunked' }).end());
    expect(await check([`http://${host}/a.csv`])).toEqual([{ url: `http://${host}/a.csv`, format: 'csv' }]);
  });

  test('is asked for eight files at a time', async () => {
    let open = 0;
    let most = 0;
    const host = await serve((_request, response) => {
      most = Math.max(most, ++open);
      setTimeout(() => {
        open--;
        response.writeHead(200).end();
      }, 20);
    });
    await check(Array.from({ length: 20 }, (_, index) => `http://${host}/${index}.csv`));
    expect(most).toBe(8);
    expect(requests).toHaveLength(20);
  });
});

describe('a redirect', () => {
  /** Redirects each request to the place given, `/end.csv` excepted. */
  function serveRedirect(location: (from: string) => string, status = 302): Promise<string> {
    return serve((request, response) => {
      if (request.url === '/end.csv') response.writeHead(200, { 'content-length': 7 }).end();
      else response.writeHead(status, { location: location(request.url ?? '') }).end();
    });
  }

  test.each([301, 302, 303, 307, 308])('by status %d is followed', async (status) => {
    const host = await serveRedirect(() => '/end.csv', status);
    expect(await check([`http://${host}/start.csv`])).toMatchObject([{ url: `http://${host}/start.csv`, bytes: 7 }]);
  });

  test('to another server does not get the credentials', async () => {
    const end = await serveStatus(200, { 'content-length': 7 });
    const start = await serveRedirect(() => `http://${end}/end.csv`);
    await check([`http://me:secret@${start}/start.csv`]);
    expect(requests.map(({ headers }) => headers.authorization !== undefined)).toEqual([true, false]);
  });

  test('five times is followed, six times is not', async () => {
    const host = await serveRedirect((from) => (from === '/1' ? '/end.csv' : `/${Number(from.slice(1)) - 1}`));
    await expect(check([`http://${host}/5`])).resolves.toMatchObject([{ bytes: 7 }]);
    expect(await failureOf(check([`http://${host}/6`]))).toEqual({
      cause: 'InvalidInput',
      message: `tuning.input.urls[0]: http://${host}/6: is redirected more than 5 times`,
    });
  });

  test.each([
    ['http://169.254.169.254/latest', '169.254.169.254'],
    ['http://[::ffff:10.0.0.1]/', '::ffff:a00:1'],
    ['http://0x7f.2/', '127.0.0.2'],
    ['http://localhost:1/', 'localhost ('],
    ['http://2852039166/latest', '169.254.169.254'],
    ['http://0251.0376.0251.0376/latest', '169.254.169.254'],
    ['http://0xA9FEA9FE/latest', '169.254.169.254'],
    ['http://169.254.43518/latest', '169.254.169.254'],
    ['http://169.254.169.254./latest', '169.254.169.254'],
    ['http://%E2%91%A0%E2%91%A5%E2%91%A8.254.169.254/latest', '169.254.169.254'],
    ['http://[fd00:ec2::254]/latest', 'fd00:ec2::254'],
    ['http://[64:ff9b::a9fe:a9fe]/', '64:ff9b::a9fe:a9fe'],
    ['http://user:pass@169.254.169.254/latest', '169.254.169.254'],
    ['http://data.example@169.254.169.254/', '169.254.169.254'],
    ['//169.254.169.254/latest', '169.254.169.254'],
  ])('to %s is refused without asking it', async (location, told) => {
    const host = await serveRedirect(() => location);
    const failure = await failureOf(check([`http://${host}/a.csv?sig=secret`], { allowPrivateHosts: [host] }));
    expect(failure).toMatchObject({
      cause: 'InvalidInput',
      remedy: expect.stringContaining('KAITO_DATASET_PRIVATE_HOSTS') as string,
    });
    expect(failure.message).toMatch(`tuning.input.urls[0]: http://${host}/a.csv: leads to ${told}`);
    expect(requests).toHaveLength(1);
  });

  test('has no login to give: neither its own, nor the user’s to another port of the same host', async () => {
    const end = await serveStatus(200, { 'content-length': 7 });
    const start = await serveRedirect(() => `http://other:login@${end}/end.csv`);
    await check([`http://me:secret@${start}/start.csv`]);
    expect(requests.at(-1)?.headers.authorization).toBeUndefined();
  });

  test('to a file of the machine is refused', async () => {
    const host = await serveRedirect(() => 'file:///etc/passwd');
    expect(await failureOf(check([`http://${host}/a.csv`]))).toMatchObject({
      message: expect.stringContaining('is redirected to what is no http or https address') as string,
    });
  });
});

describe('what the user has to mend', () => {
  test.each([
    [401, {}, 'the server refuses access (status 401)'],
    [403, {}, 'the server refuses access (status 403)'],
    [404, {}, 'there is no such file (status 404)'],
    [410, {}, 'there is no such file (status 410)'],
    [416, {}, 'the server answers 416'],
    [418, {}, 'the server answers 418'],
    [304, {}, 'the server answers 304'],
    [200, { 'content-length': 0 }, 'the file is empty'],
    [200, { 'content-type': 'text/html; charset=utf-8' }, 'is a web page (content type text/html)'],
  ])('status %d with %j', async (status, headers: Record<string, string | number>, why) => {
    const host = await serveStatus(status, headers);
    const failure = await failureOf(check([`http://me:pass@${host}/a.csv?sig=secret`]));
    expect(failure).toMatchObject({ cause: 'InvalidInput' });
    expect(failure.message).toBe(`tuning.input.urls[0]: http://${host}/a.csv: ${why}`);
  });

  test('an empty file that HEAD says nothing of', async () => {
    const host = await serve((request, response) =>
      response.writeHead(request.method === 'HEAD' ? 403 : 416, { 'content-range': 'bytes */0' }).end(),
    );
    expect(await failureOf(check([`http://${host}/a.csv`]))).toMatchObject({
      cause: 'InvalidInput',
      message: expect.stringContaining('the file is empty') as string,
    });
  });

  test('a file that only HEAD calls empty is not', async () => {
    const host = await serve((request, response) => {
      if (request.method === 'HEAD') response.writeHead(200, { 'content-length': 0 }).end();
      else response.writeHead(206, { 'content-range': 'bytes 0-0/9' }).end('x');
    });
    expect(await check([`http://${host}/a.csv`])).toMatchObject([{ bytes: 9 }]);
  });

  test('all of it is told at once, and is final if one is', async () => {
    const host = await serve((request, response) =>
      response.writeHead(request.url?.startsWith('/missing') === true ? 404 : 503).end(),
    );
    const failure = await failureOf(check([`http://${host}/later.csv`, `http://${host}/missing.csv`]));
    expect(failure).toEqual({
      cause: 'InvalidInput',
      message:
        `tuning.input.urls[0]: http://${host}/later.csv: the server answers 503; ` +
        `tuning.input.urls[1]: http://${host}/missing.csv: there is no such file (status 404)`,
      remedy: 'Correct the address in tuning.input.urls.',
    });
    const urls = Array.from({ length: 7 }, (_, index) => `http://${host}/missing-${index}.csv`);
    expect((await failureOf(check(urls))).message).toMatch(/\[4\]: [^;]*; and 2 more$/);
  });
});

test('a login that can’t be read is the user’s to mend, and is not told', async () => {
  const host = await serveStatus(200);
  const failure = await failureOf(check([`http://me:100%zz@${host}/a.csv`]));
  expect(failure).toMatchObject({ cause: 'InvalidInput', remedy: 'Write a % of user or password as %25.' });
  expect(failure.message).toBe(
    `tuning.input.urls[0]: http://${host}/a.csv: has a login that is not percent-encoded UTF-8`,
  );
});

describe('what may mend itself', () => {
  test.each([408, 425, 429, 500, 503])('status %d', async (status) => {
    const host = await serveStatus(status);
    expect(await failureOf(check([`http://${host}/a.csv?sig=secret`]))).toEqual({
      cause: 'DatasetUnavailable',
      message: `tuning.input.urls[0]: http://${host}/a.csv: the server answers ${status}`,
    });
  });

  test('a server that is not there', async () => {
    const host = await serveStatus(200);
    const [server] = servers.splice(0);
    await new Promise((resolve) => server?.close(resolve));
    expect(await failureOf(check([`http://${host}/a.csv?sig=secret`]))).toEqual({
      cause: 'DatasetUnavailable',
      message: `tuning.input.urls[0]: http://${host}/a.csv: 127.0.0.1 can't be asked: connect ECONNREFUSED ${host}`,
    });
  });

  test('a name that nobody has', async () => {
    // RFC 6761: no such name ever exists.
    const failure = await failureOf(check(['https://data.invalid/a.csv?sig=secret']));
    expect(failure.cause).toBe('DatasetUnavailable');
    expect(failure.message).toMatch(
      /^tuning\.input\.urls\[0\]: https:\/\/data\.invalid\/a\.csv: data\.invalid can't be asked: getaddrinfo E/,
    );
  });

  test('a server that does not answer in time', async () => {
    const host = await serve(() => undefined);
    expect(await failureOf(check([`http://${host}/a.csv`], { timeoutMs: 50 }))).toEqual({
      cause: 'DatasetUnavailable',
      message: `tuning.input.urls[0]: http://${host}/a.csv: 127.0.0.1 can't be asked: no answer within 0.05 s`,
    });
  });
});

test('a cancelled caller gets its own reason', async () => {
  const cancelled = new AbortController();
  const host = await serve(() => cancelled.abort(new Error('enough')));
  await expect(check([`http://${host}/a.csv`], { signal: cancelled.signal })).rejects.toThrow('enough');
});

describe('private addresses', () => {
  test.each([
    'http://127.0.0.1:1/a',
    'http://localhost:1/a',
    'http://10.1.2.3/a',
    'http://2130706433/a',
    'http://[::1]/a',
  ])('%s is refused unless the operator allows it', async (url) => {
    const failure = await failureOf(check([url], { allowPrivateHosts: [], timeoutMs: 1000 }));
    expect(failure).toMatchObject({ cause: 'InvalidInput' });
    expect(failure.message).toContain('which is no public address');
  });

  test('a name is connected to at the address that was checked', async () => {
    const host = await serveStatus(200, { 'content-length': 3 });
    const name = `localhost:${host.split(':')[1]}`;
    expect(await check([`http://${name}/a.csv`], { allowPrivateHosts: [name] })).toMatchObject([{ bytes: 3 }]);
    expect(await failureOf(check([`http://${name}/a.csv`], { allowPrivateHosts: ['localhost:1'] }))).toMatchObject({
      cause: 'InvalidInput',
    });
  });

  test.each(ADDRESSES.public)('%s is public', (address) => {
    expect(isPublic(address)).toBe(true);
  });

  test.each([...ADDRESSES.notPublic, 'not an address', ''])('%s is not public', (address) => {
    expect(isPublic(address)).toBe(false);
  });

  test('of a name that is somewhere else each time it is looked up are never connected to', async () => {
    const outside = await serve((request, response) =>
      response.writeHead(request.method === 'HEAD' ? 405 : 200).end('x'),
    );
    const port = Number(outside.split(':')[1]);
    const dns = await serveNames(['127.0.0.1', '127.0.0.2', '127.0.0.2']);
    // Only where the first answer leads to is allowed, as if it were public.
    const options = { allowPrivateHosts: ['127.0.0.1/32'], resolve: dns.resolve };

    const failure = await failureOf(check([`http://rebound.example:${port}/a.csv`], options));

    expect(failure).toMatchObject({ cause: 'InvalidInput' });
    expect(failure.message).toContain('leads to rebound.example (127.0.0.2), which is no public address');
    // HEAD went to the address that was checked for it; GET was checked anew, and refused.
    expect(requests.map(({ method, headers }) => [method, headers.host])).toEqual([
      ['HEAD', `rebound.example:${port}`],
    ]);
    expect(dns.asked()).toBe(2);
  });

  test('are looked up once for each connection, which goes to the very address that was checked', async () => {
    const host = await serveStatus(200, { 'content-length': 3 });
    const port = host.split(':')[1];
    const dns = await serveNames(['127.0.0.1', '127.0.0.2']);
    const options = { allowPrivateHosts: ['127.0.0.1/32'], resolve: dns.resolve };
    expect(await check([`http://rebound.example:${port}/a.csv`], options)).toMatchObject([{ bytes: 3 }]);
    expect(dns.asked()).toBe(1);
  });

  test('among several of a name refuse all of it', async () => {
    const host = await serveStatus(200);
    const resolve: Resolve = (_name, _options, callback) =>
      callback(null, [
        { address: '127.0.0.1', family: 4 },
        { address: 'fd00:ec2::254', family: 6 },
      ]);
    const url = `http://several.example:${host.split(':')[1]}/a.csv`;
    const failure = await failureOf(check([url], { allowPrivateHosts: ['127.0.0.1/32'], resolve }));
    expect(failure.message).toContain('leads to several.example (fd00:ec2::254), which is no public address');
    expect(requests).toEqual([]);
  });

  test('are allowed by host, host and port, address, and network', () => {
    const allowed = allowedHosts([
      'Data.internal',
      ' store:9000',
      '10.1.0.0/16',
      'fd00::/8',
      '192.168.0.7',
      '[::1]:80',
      '',
    ]);
    expect(allowed('data.internal', 443, '10.9.9.9')).toBe(true);
    expect(allowed('store', 9000, '10.9.9.9')).toBe(true);
    expect(allowed('store', 9001, '10.9.9.9')).toBe(false);
    expect(allowed('anything', 80, '10.1.255.1')).toBe(true);
    expect(allowed('anything', 80, '10.2.0.1')).toBe(false);
    expect(allowed('anything', 80, 'fd12::1')).toBe(true);
    expect(allowed('anything', 80, '192.168.0.7')).toBe(true);
    expect(allowed('::1', 80, '::1')).toBe(true);
    expect(allowed('::1', 81, '::1')).toBe(false);
  });

  test.each(ADDRESSES.notNetworks)('%s is no network', (entry) => {
    expect(() => allowedHosts([entry])).toThrow(
      `'${entry}' is no network; write for example 10.1.0.0/16, or a host without a slash`,
    );
  });
});
