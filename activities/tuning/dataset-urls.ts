/**
 * Asks the addresses of a dataset what they hold, before a machine is bought for it: as far as that can be told without downloading. Nothing
 * of a URL's query or credentials gets into a message.
 */
import { lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, type Dispatcher } from 'undici';
import { CauseError, type Cause } from '../../api/causes';
import { allowedHosts, isPublic, type AllowedHosts } from './addresses';
import { inTurn, type Resolve, type ResolveInTurn } from './lookups';

export interface DatasetUrlOptions {
  readonly signal: AbortSignal;
  /** Hosts, `host:port`, addresses and networks that may be asked although they aren't public. */
  readonly allowPrivateHosts: readonly string[];
  /** Time for each request, milliseconds; 30,000 unless given. */
  readonly timeoutMs?: number;
  /** Finds the addresses of a name, all of them, as `dns.lookup` with `all: true` does; the machine's own resolver unless given. */
  readonly resolve?: Resolve;
}

/** A file of the dataset, as far as its server tells. */
export interface DatasetFile {
  /** Without query and credentials. */
  readonly url: string;
  readonly bytes?: number;
  /** By the name; absent where it doesn't tell. The pod finds out from the content. */
  readonly format?: DatasetFormat;
}

export type DatasetFormat = 'parquet' | 'json' | 'jsonl' | 'csv' | 'arrow';

const FIELD = 'tuning.input.urls';
const DEFAULT_TIMEOUT_MS = 30_000;
const MAX_REDIRECTS = 5;
const PARALLEL = 8;
const SHOWN_FAILURES = 5;

const FORMATS: Readonly<Record<string, DatasetFormat>> = {
  parquet: 'parquet',
  json: 'json',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  csv: 'csv',
  arrow: 'arrow',
};
/** Answers to HEAD of servers that would answer GET: signed addresses hold for one method only. */
const HEAD_REFUSED = [400, 403, 405, 501];
const TRY_AGAIN = [408, 425, 429];

/**
 * Asks all addresses, eight at a time.
 *
 * @throws CauseError naming every address that is wrong: InvalidInput when an address can't become right by itself (missing, refused, empty,
 * a web page, a private address), DatasetUnavailable when it may. An aborted `signal` rejects with its own reason.
 */
export async function checkDatasetUrls(
  urls: readonly string[],
  options: DatasetUrlOptions,
): Promise<readonly DatasetFile[]> {
  const allowed = allowedHosts(options.allowPrivateHosts);
  const resolve = inTurn(options.resolve ?? lookup);
  const queue = urls.map((url, index) => ({ url, index })).values();
  const files: DatasetFile[] = [];
  const failures: { readonly index: number; readonly failure: CauseError }[] = [];
  const work = async (): Promise<void> => {
    for (const { url, index } of queue) {
      try {
        files[index] = await checkUrl(url, `${FIELD}[${index}]`, { ...options, allowed, resolve });
      } catch (error) {
        if (!(error instanceof CauseError)) throw error;
        failures.push({ index, failure: error });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL, urls.length) }, work));
  options.signal.throwIfAborted();
  if (failures.length > 0) throw together(failures.sort((a, b) => a.index - b.index).map(({ failure }) => failure));
  return files;
}

/** One failure of all: final if one of them is, as the user has to act then anyway. */
function together(failures: readonly CauseError[]): CauseError {
  const [first] = failures;
  if (first !== undefined && failures.length === 1) return first;
  const decisive = failures.find(({ failure }) => failure.cause === 'InvalidInput') ?? first;
  const shown = failures.slice(0, SHOWN_FAILURES).map(({ message }) => message);
  const rest = failures.length - shown.length;
  return new CauseError({
    ...(decisive?.failure ?? { cause: 'DatasetUnavailable' }),
    message: [...shown, ...(rest > 0 ? [`and ${rest} more`] : [])].join('; '),
  });
}

/** What is asked, and how it is called in messages. */
interface Asked {
  readonly field: string;
  readonly shown: string;
  readonly allowed: AllowedHosts;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly resolve: ResolveInTurn;
}

async function checkUrl(
  text: string,
  field: string,
  {
    allowed,
    signal,
    timeoutMs = DEFAULT_TIMEOUT_MS,
    resolve,
  }: Pick<Asked, 'allowed' | 'signal' | 'resolve'> & Pick<DatasetUrlOptions, 'timeoutMs'>,
): Promise<DatasetFile> {
  const url = URL.parse(text);
  if (url === null || !isWeb(url)) throw failure('InvalidInput', `${field}: is no http or https address`);
  const shown = `${url.origin}${url.pathname}`;
  const asked = { field, shown, allowed, signal, timeoutMs, resolve };

  const head = await follow('HEAD', url, asked);
  // Some servers say 0 in answer to every HEAD.
  const answer = HEAD_REFUSED.includes(head.status) || head.bytes === 0 ? await follow('GET', url, asked) : head;
  judge(answer, asked);
  const format = formatOf(url);
  return {
    url: shown,
    ...(answer.bytes !== undefined && { bytes: answer.bytes }),
    ...(format !== undefined && { format }),
  };
}

/** An answer that is no redirect. */
interface Answer {
  readonly status: number;
  /** Of the whole file, where the server tells. */
  readonly bytes?: number;
  readonly contentType: string;
}

function judge({ status, bytes, contentType }: Answer, asked: Asked): void {
  if (status >= 500 || TRY_AGAIN.includes(status)) throw unavailable(asked, `the server answers ${status}`);
  if (bytes === 0) throw wrong(asked, 'the file is empty', 'Name a file with rows.');
  if (status === 401 || status === 403) {
    throw wrong(
      asked,
      `the server refuses access (status ${status})`,
      'Give an address that can be read as it stands; a signed one may have expired.',
    );
  }
  if (status === 404 || status === 410) {
    throw wrong(asked, `there is no such file (status ${status})`, `Correct the address in ${FIELD}.`);
  }
  if (status < 200 || status >= 300) throw wrong(asked, `the server answers ${status}`);
  if (/^(?:text\/html|application\/xhtml\+xml)\b/i.test(contentType)) {
    throw wrong(
      asked,
      `is a web page (content type ${contentType.split(';')[0]})`,
      'Give the address of the file itself: of the raw file or the download, not of the page that shows it.',
    );
  }
}

/** Follows redirects by hand, so that each hop's address is checked. */
async function follow(method: 'HEAD' | 'GET', start: URL, asked: Asked): Promise<Answer> {
  let url = start;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    // The login is for the server that the user wrote it for; what a redirect has of its own is nobody's to send.
    const login = sameOrigin(start, url) ? loginOf(start, asked) : undefined;
    const { answer, location } = await ask(method, url, login, asked);
    if (location === undefined) return answer;
    const next = URL.parse(location, url.href);
    if (next === null || !isWeb(next)) throw wrong(asked, 'is redirected to what is no http or https address');
    url = next;
  }
  throw wrong(asked, `is redirected more than ${MAX_REDIRECTS} times`);
}

/** One request; its connection goes to an address that was checked, and ends with it. */
async function ask(
  method: 'HEAD' | 'GET',
  url: URL,
  login: string | undefined,
  asked: Asked,
): Promise<{ readonly answer: Answer; readonly location?: string }> {
  const host = hostOf(url);
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
  const check = (address: string): CauseError | undefined =>
    isPublic(address) || asked.allowed(host, port, address) ? undefined : privateAddress(asked, host, address);
  // No name is looked up for a number.
  const refusal = isIP(host) === 0 ? undefined : check(host);
  if (refusal !== undefined) throw refusal;

  const signal = AbortSignal.any([asked.signal, AbortSignal.timeout(asked.timeoutMs)]);
  let isFound = isIP(host) !== 0;
  const found = (): void => void (isFound = true);
  const connect = { lookup: checkedLookup(asked.resolve, signal, check, found), timeout: asked.timeoutMs };
  const agent = new Agent({ connect });
  try {
    const response = await agent.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method,
      headers: {
        'accept-encoding': 'identity',
        'user-agent': 'kaito-temporal',
        ...(method === 'GET' && { range: 'bytes=0-0' }),
        ...(login !== undefined && { authorization: login }),
      },
      signal,
    });
    const location = response.statusCode >= 300 && response.statusCode < 400 ? header(response, 'location') : undefined;
    return { answer: answerOf(method, response), ...(location !== undefined && { location }) };
  } catch (error) {
    asked.signal.throwIfAborted();
    if (error instanceof CauseError) throw error;
    const late = `${isFound ? 'no answer' : 'its name could not be looked up'} within ${asked.timeoutMs / 1000} s`;
    const why = signal.aborted ? late : reasonOf(error);
    throw unavailable(asked, `${host} can't be asked: ${why}`, error);
  } finally {
    // The body isn't wanted, however long it is.
    await agent.destroy();
  }
}

/** Resolves a name and refuses it if any of its addresses is refused: what is connected to is what was checked. */
function checkedLookup(
  resolve: ResolveInTurn,
  signal: AbortSignal,
  check: (address: string) => CauseError | undefined,
  found: () => void,
): LookupFunction {
  return (hostname, options, callback) => {
    resolve(signal, hostname, { ...options, all: true }, (error, addresses) => {
      if (error === null) found();
      const refusal = error ?? addresses.map(({ address }) => check(address)).find((found) => found !== undefined);
      const [first] = addresses ?? [];
      if (refusal !== undefined || first === undefined) callback(refusal ?? new Error('no address'), '');
      else if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

function answerOf(method: 'HEAD' | 'GET', response: Dispatcher.ResponseData): Answer {
  const { statusCode } = response;
  const range = /^bytes [^/]*\/(\d+)$/.exec(header(response, 'content-range') ?? '')?.[1];
  const length = statusCode === 206 || statusCode === 416 ? range : header(response, 'content-length');
  // There is no first byte: the file is empty.
  const isEmpty = method === 'GET' && statusCode === 416 && (range === undefined || range === '0');
  const isSized = isEmpty || statusCode === 200 || statusCode === 206;
  return {
    status: isEmpty ? 200 : statusCode,
    contentType: header(response, 'content-type') ?? '',
    ...(isSized && (isEmpty || length !== undefined) && { bytes: isEmpty ? 0 : Number(length) }),
  };
}

function header(response: Dispatcher.ResponseData, name: string): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function formatOf(url: URL): DatasetFormat | undefined {
  const name = (url.pathname.replace(/\/+$/, '').split('/').at(-1) ?? '').toLowerCase().replace(/\.gz$/, '');
  return FORMATS[name.split('.').slice(1).at(-1) ?? ''];
}

function isWeb(url: URL): boolean {
  return (url.protocol === 'http:' || url.protocol === 'https:') && url.hostname !== '';
}

function sameOrigin(a: URL, b: URL): boolean {
  return a.origin === b.origin;
}

/** Without the brackets of IPv6 and the dot that may end a name. */
function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

/** The header for the login in an address; undefined where it has none. */
function loginOf({ username, password }: URL, asked: Asked): string | undefined {
  if (username === '') return undefined;
  try {
    const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return `Basic ${Buffer.from(text).toString('base64')}`;
  } catch {
    throw wrong(asked, 'has a login that is not percent-encoded UTF-8', 'Write a % of user or password as %25.');
  }
}

/** By shape, not by class: a connection that was tried at several addresses fails with an error without a message of its own. */
function reasonOf(error: unknown): string {
  const { message, errors } = error as { readonly message?: string; readonly errors?: readonly unknown[] };
  return message || errors?.map(reasonOf).join('; ') || String(error);
}

function privateAddress(asked: Asked, host: string, address: string): CauseError {
  const where = host === address ? address : `${host} (${address})`;
  return wrong(
    asked,
    `leads to ${where}, which is no public address`,
    'Use a public address, give the dataset as image or volume, or let the operator list the host in KAITO_DATASET_PRIVATE_HOSTS.',
  );
}

function wrong({ field, shown }: Asked, why: string, remedy?: string): CauseError {
  return failure('InvalidInput', `${field}: ${shown}: ${why}`, remedy);
}

function unavailable({ field, shown }: Asked, why: string, inner?: unknown): CauseError {
  return failure('DatasetUnavailable', `${field}: ${shown}: ${why}`, undefined, inner);
}

function failure(cause: Cause, message: string, remedy?: string, inner?: unknown): CauseError {
  return new CauseError(
    { cause, message, ...(remedy !== undefined && { remedy }) },
    inner === undefined ? undefined : { cause: inner },
  );
}
