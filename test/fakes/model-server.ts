import type { IncomingMessage, RequestListener } from 'node:http';
import { text } from 'node:stream/consumers';

/** A model server that speaks OpenAI's API as vLLM does: it answers with what it was told, word by word. */
export class FakeModelServer {
  readonly requests: { readonly path: string; readonly body: unknown }[] = [];
  models: readonly string[] = ['phi-4-mini-instruct', 'support'];
  words: readonly string[] = ['Durable ', 'work ', 'ends.'];
  finishReason = 'stop';
  /** The connection is cut after the words. */
  breaksOff = false;

  readonly handle: RequestListener = (request, response) => {
    void this.#body(request).then((body) => {
      this.requests.push({ path: request.url ?? '', body });
      if (request.url === '/v1/models') {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ object: 'list', data: this.models.map((id) => ({ id, object: 'model' })) }));
        return;
      }
      const { model, max_tokens: maxTokens } = body as { model: string; max_tokens?: number };
      if (maxTokens !== undefined && maxTokens > 4096) {
        response.statusCode = 400;
        response.end(JSON.stringify({ error: { message: `max_tokens is too large: ${maxTokens}`, code: 400 } }));
        return;
      }
      response.setHeader('content-type', 'text/event-stream');
      const event = (data: object): void => void response.write(`data: ${JSON.stringify({ model, ...data })}\n\n`);
      event({ choices: [{ index: 0, delta: { role: 'assistant', content: '' } }] });
      for (const word of this.words) event({ choices: [{ index: 0, delta: { content: word }, finish_reason: null }] });
      if (this.breaksOff) return void response.socket?.end();
      event({ choices: [{ index: 0, delta: {}, finish_reason: this.finishReason }] });
      event({ choices: [], usage: { prompt_tokens: 7, completion_tokens: this.words.length, total_tokens: 10 } });
      response.end('data: [DONE]\n\n');
    });
  };

  async #body(request: IncomingMessage): Promise<unknown> {
    const body = await text(request);
    return body === '' ? undefined : JSON.parse(body);
  }
}
