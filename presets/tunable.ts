import type { Model } from './types';

/** Architectures of transformers that write text after text: what TRL's SFTTrainer trains. */
const CAUSAL = /(?:ForCausalLM|LMHeadModel)$/;

/** Why a model can't be tuned by LoRA, with what to do instead; `undefined` when it can, or when nothing is known against it. */
export function tunable(model: Model): string | undefined {
  if (model.supportsTuning) return undefined;
  const { id, architectures, quantization } = model;
  if (quantization !== undefined) {
    return (
      `${id} is stored quantized (${quantization.method}), and an adapter is trained on the weights as published before that: ` +
      'name the unquantized model; method qlora quantizes it to 4 bits when it is loaded'
    );
  }
  if (architectures.length === 0) {
    return `${id} has no configuration of transformers (config.json with architectures): name a model, or a copy of this one, in that format`;
  }
  if (!architectures.some((name) => CAUSAL.test(name))) {
    return `${id} is ${architectures.join(', ')}; only models of text alone (…ForCausalLM) can be tuned: name the text model of the family`;
  }
  return undefined;
}
