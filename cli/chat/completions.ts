import { request as httpRequest, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { CliError } from '../failure';

/** How to reach the model server: one connection for each request. */
export type Connect = () => Promise<Duplex>;

export interface Question {
  /** As `/v1/models` names it: the model, or an adapter. */
  readonly model: string;
  readonly messages: readonly { readonly role: 'system' | 'user'; readonly content: string }[];
  readonly maxTokens?: number;
  readonly temperature?: number;
}

export interface Answered {
  /** `length`: cut off by the limit of tokens. */
  readonly finishReason?: string;
  readonly usage?: { readonly promptTokens: number; readonly completionTokens: number };
}

const DATA = 'data:';
/** Follows the last piece. */
const END = '[DONE]';

const modelsSchema = z.object({ data: z.array(z.object({ id: z.string() })) });
const chunkSchema = z.object({
  choices: z
    .array(
      z.object({ delta: z.object({ content: z.string().nullish() }).optional(), finish_reason: z.string().nullish() }),
    )
    .default([]),
  usage: z.object({ prompt_tokens: z.number(), completion_tokens: z.number() }).nullish(),
  error: z.object({ message: z.string() }).optional(),
});
const errorSchema = z.object({ error: z.object({ message: z.string() }) });

/** What the server serves: the model first, then its adapters. */
export async function models(connect: Connect, signal: AbortSignal): Promise<readonly string[]> {
  const response = await send(connect, { method: 'GET', path: '/v1/models' }, signal);
  return modelsSchema.parse(JSON.parse(await text(response))).data.map(({ id }) => id);
}

/** Asks, and hands over the answer piece by piece as it comes. */
export async function ask(
  connect: Connect,
  { model, messages, maxTokens, temperature }: Question,
  onText: (piece: string) => void,
  signal: AbortSignal,
): Promise<Answered> {
  const body = {
    model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
    ...(maxTokens !== undefined && { max_tokens: maxTokens }),
    ...(temperature !== undefined && { temperature }),
  };
  const response = await send(connect, { method: 'POST', path: '/v1/chat/completions', body }, signal);
  let answered: Answered = {};
  for await (const data of eventsOf(response, signal)) {
    if (data === END) return answered;
    const { choices, usage, error } = chunkSchema.parse(JSON.parse(data));
    if (error !== undefined) throw refusal(error.message);
    for (const { delta, finish_reason: finishReason } of choices) {
      if (delta?.content) onText(delta.content);
      if (finishReason) answered = { ...answered, finishReason };
    }
    if (usage) {
      const { prompt_tokens: promptTokens, completion_tokens: completionTokens } = usage;
      answered = { ...answered, usage: { promptTokens, completionTokens } };
    }
  }
  throw brokenOff();
}

/** The data of server-sent events, each on one line as vLLM writes them. */
async function* eventsOf(response: IncomingMessage, signal: AbortSignal): AsyncGenerator<string> {
  try {
    for await (const line of createInterface({ input: response })) {
      if (line.startsWith(DATA)) yield line.slice(DATA.length).trim();
    }
  } catch (error) {
    signal.throwIfAborted();
    throw brokenOff(error);
  } finally {
    response.destroy();
  }
}

function brokenOff(cause?: unknown): CliError {
  return new CliError(
    {
      exit: 'failed',
      message: 'the answer broke off before its end',
      remedy: 'Ask again; kaito logs tells what became of the model server.',
    },
    { cause },
  );
}

interface Sent {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: object;
}

/** Resolves with a 200 answer whose body is unread. */
async function send(connect: Connect, { method, path, body }: Sent, signal: AbortSignal): Promise<IncomingMessage> {
  const connection = await connect();
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = httpRequest({
      createConnection: () => connection,
      method,
      path,
      // Names nobody: the connection is the pod.
      host: 'model-server',
      headers: {
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
        connection: 'close',
      },
      signal,
    });
    sent.once('response', resolve);
    sent.once('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
  response.once('close', () => connection.destroy());
  if (response.statusCode === 200) return response;
  throw refusal(messageOf(await text(response)) ?? `HTTP status ${response.statusCode ?? 'unknown'}`);
}

function messageOf(body: string): string | undefined {
  try {
    const parsed = errorSchema.safeParse(JSON.parse(body));
    if (parsed.success) return parsed.data.error.message;
  } catch {
    // Not JSON: the text itself is the message.
  }
  return body.trim().slice(0, 500) || undefined;
}

function refusal(message: string): CliError {
  return new CliError({ exit: 'failed', message: `the model server refuses: ${message}` });
}
