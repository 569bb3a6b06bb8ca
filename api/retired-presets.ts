/**
 * Short names that KAITO once served and dropped, and what to use instead: the same model by its Hugging Face id where it can still be
 * served, or its successor.
 */
export const RETIRED_PRESETS = {
  'phi-2': 'phi-4-mini-instruct',
  'falcon-7b': 'tiiuae/falcon-7b',
  'falcon-7b-instruct': 'tiiuae/falcon-7b-instruct',
  'falcon-40b': 'tiiuae/falcon-40b',
  'falcon-40b-instruct': 'tiiuae/falcon-40b-instruct',
  'llama-2-7b': 'llama-3.1-8b-instruct',
  'llama-2-7b-chat': 'llama-3.1-8b-instruct',
  'llama-2-13b': 'llama-3.1-8b-instruct',
  'llama-2-13b-chat': 'llama-3.1-8b-instruct',
  'llama-2-70b': 'llama-3.3-70b-instruct',
  'llama-2-70b-chat': 'llama-3.3-70b-instruct',
} as const satisfies Record<string, string>;
