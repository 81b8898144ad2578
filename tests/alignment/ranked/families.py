"""Tiny models of every verified family, and made-up trees to send through them."""

from __future__ import annotations

import torch

from alignment.ranked.head import add_branch_head
from alignment.ranked.packing import Forest
from alignment.ranked.trees import Pair, Tree, share_branches

VOCABULARY = 97
SHAPE = {"vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 256, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": 1}
FAMILIES = {
    "llama": ("LlamaConfig", {}),
    "qwen2": ("Qwen2Config", {}),
    "qwen2 with a window": ("Qwen2Config", {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}),
    "qwen3": ("Qwen3Config", {"head_dim": 8}),
    "mistral": ("MistralConfig", {"sliding_window": None}),
    "mistral with a window": ("MistralConfig", {"sliding_window": 6}),
    "gemma 3": ("Gemma3TextConfig", {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 10, "sliding_window_pattern": 2,
                                     "final_logit_softcapping": 5.0}),
    "phi-3": ("Phi3Config", {}),
    "phi-3 with a window": ("Phi3Config", {"sliding_window": 6}),
}


def tiny_model(family: str, *, dtype: torch.dtype = torch.float64, lora: bool = True, seed: int = 0):
    """A random model of the family behind a LoRA adapter that already does something, ready to score branches."""
    import transformers
    from peft import LoraConfig, get_peft_model

    name, changes = FAMILIES[family]
    config = getattr(transformers, name)(**SHAPE | changes)
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)
    for weight in model.parameters():
        if weight.dim() == 2:
            torch.nn.init.normal_(weight, std=0.15)
    add_branch_head(model)
    if not lora:
        return model
    adapter = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    return get_peft_model(model, adapter, autocast_adapter_dtype=False)


def tokens(count: int, seed: int) -> tuple[int, ...]:
    """Random token ids."""
    return tuple(torch.randint(2, VOCABULARY, (count,), generator=torch.Generator().manual_seed(seed)).tolist())


def make_tree(prompt: int, lengths: list[int], *, pairs: list[tuple[int, int, float]] | None = None, seed: int = 0,
              same: dict[int, int] | None = None) -> Tree:
    """A tree of random tokens; `same` makes a completion equal to another; without `pairs`, all of them, first is best."""
    completions = [tokens(length, 1000 * seed + index + 1) for index, length in enumerate(lengths)]
    for copy, original in (same or {}).items():
        completions[copy] = completions[original]
    branches, branch_of = share_branches(completions)
    if pairs is None:
        pairs = [(i, j, 0.0) for i in range(len(lengths)) for j in range(i + 1, len(lengths))]
    return Tree(f"ranking-{seed}", tokens(prompt, 1000 * seed), branches, branch_of, tuple(Pair(*pair) for pair in pairs))


def make_forest() -> Forest:
    """Two trees; unequal lengths, one completion of one token."""
    return Forest((make_tree(9, [5, 1, 12], seed=1), make_tree(4, [7, 3], seed=2)))
