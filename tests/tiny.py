"""A real base model of a few thousand parameters, built on the spot: what every test that needs a model uses."""

from __future__ import annotations

from pathlib import Path

from sft.config import ModelConfig

TEMPLATE = (
    "{%- for message in messages -%}"
    r"{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{%- endfor -%}"
    r"{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)
"""The ChatML form that most instruction models use, end-of-turn newline included."""


def tiny_base(folder: Path, *, seed: int = 0, hidden: int = 32, layers: int = 2, template: str | None = TEMPLATE) -> Path:
    """A tiny Llama with random weights and a tokenizer of bytes, saved in `folder`; another seed is another base."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tiny_tokenizer(template)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        # The usual spread of 0.02 makes every answer the same noise; this one gives each prompt answers of its own.
        for weight in model.parameters():
            if weight.dim() == 2:
                torch.nn.init.normal_(weight, std=0.3 / hidden**0.25)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_tokenizer(template: str | None = TEMPLATE):
    """One token per byte, and the three special tokens of ChatML."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={character: i for i, character in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|pad|>",
                                   additional_special_tokens=["<|im_start|>"])
    made.chat_template = template
    return made


def tiny_config(base: Path, *, max_length: int = 256, **changes: object) -> ModelConfig:
    """A configuration that holds `base` on the CPU with one thread."""
    return ModelConfig.model_validate({"base": str(base), "device": "cpu", "max_length": max_length, "threads": 1} | changes)
