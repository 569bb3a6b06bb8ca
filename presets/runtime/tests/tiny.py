"""A tiny model with random weights, made in seconds: a Llama with a tokenizer that has a chat template.

As a script: `python tests/tiny.py DIR [--seed N]`. The same seed gives the same model. Attention heads have size 64,
because vLLM's CPU attention refuses very small ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VOCABULARY = 512
CONTEXT = 512
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
WORDS = (
    "a durable workflow serves the model and the model answers what the user asks",
    "machines come up stay up and cost nothing when gone",
    "what is a workspace and who reads its status? the quick brown fox jumps over the lazy dog",
    "question: which city is the capital of that country? answer: please write a story about seven brave travellers",
    "instruction input output prompt completion messages content role system assistant conversation between people",
    "training an adapter takes minutes, serving it takes seconds; logits differ as the scaling predicts",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 .,;:!?()[]{}'\"-_/\\@#$%&*+=<>|~^`",
)


def make_model(directory: Path, seed: int = 0) -> Path:
    """Writes the model into `directory` (made if missing) and returns it."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer()
    tokenizer.save_pretrained(str(directory))
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=64,
        max_position_embeddings=CONTEXT,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
        # Larger than usual, so that the logits of random weights are far from equal.
        initializer_range=0.08,
    )
    model = LlamaForCausalLM(config).to(torch.float32)
    model.save_pretrained(str(directory), safe_serialization=True)
    return directory


def make_adapter(
    directory: Path, model: Path, *, rank: int = 8, alpha: int = 16, seed: int = 1, **config_options: Any
) -> Path:
    """Writes a LoRA adapter whose weights are random, none zero, so that it changes every answer."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    base = AutoModelForCausalLM.from_pretrained(str(model), dtype=torch.float32)
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=["q_proj", "v_proj", "o_proj"],
        task_type="CAUSAL_LM",
        **config_options,
    )
    adapted = get_peft_model(base, config)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    adapted.save_pretrained(str(directory))
    return directory


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))  # noqa: S106 - no password
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    # The last one is what vLLM's parser of tool calls looks for in models of this architecture.
    special = ["<unk>", "<s>", "</s>", "<pad>", "<|system|>", "<|user|>", "<|assistant|>", "<|python_tag|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sentences(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",  # noqa: S106
        bos_token="<s>",  # noqa: S106
        eos_token="</s>",  # noqa: S106
        pad_token="<pad>",  # noqa: S106
        chat_template=CHAT_TEMPLATE,
        model_max_length=CONTEXT,
    )


def _sentences() -> Iterator[str]:
    for _ in range(4):
        yield from WORDS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    make_model(arguments.directory, arguments.seed)


if __name__ == "__main__":
    main()
