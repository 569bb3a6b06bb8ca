/**
 * Stands between a process of the product and Temporal: tells of each activity when it is handed out, done and recorded, by reading the calls that
 * say so. Everything is passed on as it is.
 */
import http2, { type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { buffer } from 'node:stream/consumers';
import { gunzipSync, inflateSync } from 'node:zlib';
import { temporal } from '@temporalio/proto';

import type { ActivityMoment, ActivityPoint, Tap } from './moments';
import { listen } from './relay';

const v1 = temporal.api.workflowservice.v1;

export interface TemporalProxy {
  readonly port: number;
  close(): Promise<void>;
}

/** What came back: the messages and what follows them. */
interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly trailers: IncomingHttpHeaders;
}

type Task = Pick<ActivityMoment, 'workflowId' | 'activity'>;

const SERVICE = '/temporal.api.workflowservice.v1.WorkflowService/';
/** Histories are long, and many calls wait at once. */
const SETTINGS = { initialWindowSize: 4 * 2 ** 20, maxConcurrentStreams: 10_000 };
const SESSION_MEMORY_MIB = 256;
const { HTTP2_HEADER_METHOD, HTTP2_HEADER_PATH, HTTP2_HEADER_STATUS } = http2.constants;
/** Headers that belong to one connection. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'te', 'transfer-encoding']);

/** Listens on a port of its own for one process. */
export async function startTemporalProxy(toPort: number, tap: Tap): Promise<TemporalProxy> {
  const sessions = new Set<{ destroy(): void }>();
  /** The activity that a token stands for. Tokens are opaque, and unique to one attempt. */
  const tasks = new Map<string, Task>();

  const tell = async (point: ActivityPoint, task: Task | undefined): Promise<void> => {
    if (task !== undefined) await tap({ sort: 'activity', point, ...task });
  };

  const handOut = async (given: readonly temporal.api.workflowservice.v1.IPollActivityTaskQueueResponse[]) => {
    for (const { taskToken, workflowExecution, activityType } of given) {
      if (taskToken === undefined || taskToken === null || taskToken.length === 0) continue; // a poll that ended empty
      const task = { workflowId: workflowExecution?.workflowId ?? '', activity: activityType?.name ?? '' };
      tasks.set(keyOf(taskToken), task);
      await tell('before', task);
    }
  };

  const pass = async (upstream: http2.ClientHttp2Session, stream: ServerHttp2Stream, asked: IncomingHttpHeaders) => {
    const body = await buffer(stream);
    const method = asked[HTTP2_HEADER_PATH]?.slice(SERVICE.length) ?? '';
    const completed =
      method === 'RespondActivityTaskCompleted'
        ? tasks.get(keyOf(v1.RespondActivityTaskCompletedRequest.decode(messageOf(asked, body)).taskToken))
        : undefined;
    await tell('done', completed);
    const answer = await ask(upstream, stream, asked, body);
    if (isOk(answer)) {
      await tell('recorded', completed);
      if (method === 'PollActivityTaskQueue')
        await handOut([v1.PollActivityTaskQueueResponse.decode(messageOf(answer.headers, answer.body))]);
      if (method === 'RespondWorkflowTaskCompleted')
        await handOut(
          v1.RespondWorkflowTaskCompletedResponse.decode(messageOf(answer.headers, answer.body)).activityTasks,
        );
    }
    reply(stream, answer);
  };

  const serve = (session: ServerHttp2Session): void => {
    const upstream = http2.connect(`http://127.0.0.1:${toPort}`, {
      settings: SETTINGS,
      maxSessionMemory: SESSION_MEMORY_MIB,
      peerMaxConcurrentStreams: SETTINGS.maxConcurrentStreams,
    });
    for (const [one, other] of [
      [session, upstream],
      [upstream, session],
    ] as const) {
      sessions.add(one);
      // A server that is gone is a broken connection to those who use it.
      one.on('error', () => other.destroy());
      one.once('close', () => {
        sessions.delete(one);
        other.destroy();
      });
    }
    // Temporal ends connections that are five minutes old, in good order: what is under way ends, what is new takes a new one.
    upstream.once('goaway', () => session.close());
    session.on('stream', (stream, asked) => {
      stream.on('error', () => undefined); // the one who asked went away
      pass(upstream, stream, asked).catch(() => stream.close(http2.constants.NGHTTP2_CANCEL));
    });
  };

  const server = http2.createServer({ settings: SETTINGS, maxSessionMemory: SESSION_MEMORY_MIB });
  server.on('session', serve);
  server.on('sessionError', () => undefined); // the session's own handler sees it, too
  return {
    port: await listen(server),
    async close() {
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function ask(
  upstream: http2.ClientHttp2Session,
  stream: ServerHttp2Stream,
  asked: IncomingHttpHeaders,
  body: Buffer,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = upstream.request({ ...passable(asked), [HTTP2_HEADER_METHOD]: 'POST', te: 'trailers' });
    let headers: IncomingHttpHeaders | undefined;
    let trailers: IncomingHttpHeaders = {};
    const chunks: Buffer[] = [];
    stream.once('close', () => call.close(http2.constants.NGHTTP2_CANCEL));
    call.on('response', (told: IncomingHttpHeaders) => (headers = told));
    call.on('trailers', (told: IncomingHttpHeaders) => (trailers = told));
    call.on('data', (chunk: Buffer) => chunks.push(chunk));
    call.once('error', reject);
    call.once('close', () => reject(new Error('the call ended without an answer')));
    call.once('end', () => {
      if (headers !== undefined) resolve({ headers, body: Buffer.concat(chunks), trailers });
    });
    call.end(body);
  });
}

function reply(stream: ServerHttp2Stream, { headers, body, trailers }: Answer): void {
  if (stream.destroyed) return;
  const isAllInHeaders = Object.keys(trailers).length === 0;
  const told = { ...passable(headers), [HTTP2_HEADER_STATUS]: headers[HTTP2_HEADER_STATUS] };
  if (isAllInHeaders && body.length === 0) {
    stream.respond(told, { endStream: true });
    return;
  }
  stream.once('wantTrailers', () => stream.sendTrailers(passable(trailers)));
  stream.respond(told, { waitForTrailers: true });
  stream.end(body);
}

function passable(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name) && name !== HTTP2_HEADER_STATUS),
  );
}

function isOk({ headers, trailers }: Answer): boolean {
  return (trailers['grpc-status'] ?? headers['grpc-status']) === '0';
}

/** The one message of a unary call: after a byte that says whether it is compressed, and four that say its length. */
function messageOf(headers: IncomingHttpHeaders, body: Buffer): Buffer {
  const message = body.subarray(5);
  if (body[0] !== 1) return message;
  return headers['grpc-encoding'] === 'deflate' ? inflateSync(message) : gunzipSync(message);
}

function keyOf(token: Uint8Array): string {
  return Buffer.from(token).toString('base64');
}
