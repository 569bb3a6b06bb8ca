import { describeModel } from '../../../activities/huggingface/hub';
import { CauseError } from '../../../api/causes';
import { FakeHub, type FakeRepository } from '../../fakes/hub/hub';

const SHA = '0123456789abcdef0123456789abcdef01234567';
const CONFIG = JSON.stringify({
  architectures: ['LlamaForCausalLM'],
  max_position_embeddings: 8192,
  hidden_size: 4096,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 8,
});
const OPEN: FakeRepository = {
  id: 'Acme/Llama-X',
  sha: SHA,
  files: {
    'README.md': '# model',
    'config.json': CONFIG,
    'model-00001-of-00002.safetensors': 9_000_000_000,
    'model-00002-of-00002.safetensors': 7_000_000_000,
    'original/consolidated.00.safetensors': 16_000_000_000,
  },
};
const GATED: FakeRepository = { ...OPEN, id: 'acme/gated', gated: 'manual' };
const PRIVATE: FakeRepository = { ...OPEN, id: 'acme/private', private: true };
const STRANGE: FakeRepository = {
  ...OPEN,
  id: 'acme/strange',
  files: { ...OPEN.files, 'config.json': '{"architectures":["StrangeForCausalLM"]}' },
};
const MISTRAL: FakeRepository = {
  ...OPEN,
  id: 'acme/mistral',
  files: {
    'params.json': '{"dim":4096,"n_layers":32,"n_heads":32,"n_kv_heads":8,"head_dim":128,"max_seq_len":32768}',
    'consolidated.safetensors': 14_000_000_000,
    'model.safetensors': 14_000_000_000,
  },
};
const HUGE: FakeRepository = { ...OPEN, id: 'acme/huge', files: { ...OPEN.files, 'config.json': 5_000_000_000 } };
const BARE: FakeRepository = { ...OPEN, id: 'acme/bare', files: { 'model.safetensors': 1_000_000 } };

let hub: FakeHub;
beforeAll(async () => {
  hub = await FakeHub.start([OPEN, GATED, PRIVATE, STRANGE, MISTRAL, HUGE, BARE]);
});
beforeEach(() => {
  hub.trouble = undefined;
  hub.requests.length = 0;
});
afterEach(() => expect(hub.violations).toEqual([]));
afterAll(() => hub.stop());

function describeIt(
  id: string,
  extra: { token?: string; signal?: AbortSignal; timeoutMs?: number; hubUrl?: string } = {},
) {
  return describeModel(id, { hubUrl: hub.url, signal: new AbortController().signal, ...extra });
}

async function failureOf(promise: Promise<unknown>) {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof CauseError)) throw new Error(`no CauseError: ${String(error)}`);
  return error.failure;
}

test('describes a model, pinned to the commit, without its weights or their second copy', async () => {
  const model = await describeIt('acme/llama-x');
  expect(model).toMatchObject({
    id: 'Acme/Llama-X',
    shortName: 'llama-x',
    revision: SHA,
    weightsBytes: 16_000_000_000,
    maxModelLen: 8192,
    kvBytesPerToken: 131_072,
    attention: 'GQA',
    gated: false,
  });
  expect(hub.requests.filter((request) => request.includes('/tree/'))).toHaveLength(3);
  expect(hub.requests.filter((request) => request.endsWith('.safetensors'))).toEqual([]);
});

test('reads params.json where weights are in Mistral’s own format', async () => {
  expect(await describeIt('acme/mistral')).toMatchObject({
    weightsBytes: 14_000_000_000,
    maxModelLen: 32_768,
    kvBytesPerToken: 131_072,
    vllmFlags: { 'load-format': 'mistral', 'config-format': 'mistral', 'tokenizer-mode': 'mistral' },
  });
});

test('a gated or private model opens with the right token, blanks around it or not', async () => {
  expect(await describeIt('acme/gated', { token: 'hf_good\n' })).toMatchObject({ id: 'acme/gated', gated: true });
  expect(await describeIt('acme/private', { token: 'hf_good' })).toMatchObject({ id: 'acme/private' });
});

test.each([
  ['acme/gated', undefined, 'HubDenied', 'acme/gated needs a Hugging Face token (status 401)'],
  ['acme/gated', 'hf_wrong', 'HubDenied', 'the token has no access to acme/gated on Hugging Face (status 401)'],
  ['acme/private', undefined, 'HubDenied', 'acme/private needs a Hugging Face token'],
  ['acme/gated', 'secret words', 'HubDenied', 'is no Hugging Face token: those start with hf_'],
  ['acme/none', 'hf_good', 'InvalidInput', 'Hugging Face has no model acme/none'],
  ['acme/strange', undefined, 'NotSupported', 'unsupported model architecture for acme/strange: StrangeForCausalLM'],
  ['acme/huge', undefined, 'NotSupported', 'acme/huge: config.json has 5000000000 bytes, and may have 4194304'],
  ['acme/bare', undefined, 'NotSupported', 'acme/bare: the repository has no config.json'],
  ['../../etc', undefined, 'InvalidInput', 'is no Hugging Face model id'],
])('%s with token %s: %s', async (id, token, cause, message) => {
  const failure = await failureOf(describeIt(id, token === undefined ? {} : { token }));
  expect(failure.cause).toBe(cause);
  expect(failure.message).toContain(message);
  if (token !== undefined) expect(failure.message).not.toContain(token);
});

test.each([429, 500, 503])('a hub that answers %d is unavailable', async (status) => {
  hub.trouble = status;
  expect(await failureOf(describeIt('acme/llama-x'))).toEqual({
    cause: 'HubUnavailable',
    message: `Hugging Face answered ${status} when asked for acme/llama-x`,
  });
});

test('a hub that doesn’t answer is given up after the time-out', async () => {
  hub.trouble = 'hang';
  expect((await failureOf(describeIt('acme/llama-x', { timeoutMs: 50 }))).message).toMatch(
    /acme\/llama-x is not in the catalogue, and http.* can't describe it: no answer within 0.05 s$/,
  );
});

test('offline it says so', async () => {
  const failure = await failureOf(describeIt('acme/llama-x', { hubUrl: 'http://127.0.0.1:1' }));
  expect(failure.cause).toBe('HubUnavailable');
  expect(failure.message).toContain("http://127.0.0.1:1 can't describe it: ");
});

test('a cancelled caller gets its own reason', async () => {
  hub.trouble = 'hang';
  const controller = new AbortController();
  const pending = describeIt('acme/llama-x', { signal: controller.signal });
  controller.abort(new Error('cancelled by the user'));
  await expect(pending).rejects.toThrow('cancelled by the user');
});
