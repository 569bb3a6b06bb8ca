/** Presets of older KAITO releases that are gone, and what to use instead. */
export const RETIRED_PRESETS: Readonly<Record<string, string>> = {
  'falcon-7b': 'tiiuae/falcon-7b, or llama-3.1-8b-instruct',
  'falcon-7b-instruct': 'tiiuae/falcon-7b-instruct, or llama-3.1-8b-instruct',
  'falcon-40b': 'tiiuae/falcon-40b, or llama-3.3-70b-instruct',
  'falcon-40b-instruct': 'tiiuae/falcon-40b-instruct, or llama-3.3-70b-instruct',
  'llama-2-7b': 'llama-3.1-8b-instruct',
  'llama-2-7b-chat': 'llama-3.1-8b-instruct',
  'llama-2-13b': 'llama-3.1-8b-instruct',
  'llama-2-13b-chat': 'llama-3.1-8b-instruct',
  'llama-2-70b': 'llama-3.3-70b-instruct',
  'llama-2-70b-chat': 'llama-3.3-70b-instruct',
  'phi-2': 'phi-4-mini-instruct',
};
