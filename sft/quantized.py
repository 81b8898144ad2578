"""A base held in 4 or 8 bits by bitsandbytes, and the defence that keeps training on it correct."""

from __future__ import annotations

import importlib.util
from typing import Any

from feedback.errors import MissingPart
from sft.config import ModelConfig


def quantization(config: ModelConfig) -> Any:
    """transformers' BitsAndBytesConfig for `quantization`. Raises MissingPart without bitsandbytes."""
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingPart(f"model.quantization is {config.quantization}, which needs bitsandbytes; "
                          "run: pip install 'redpen-rlhf[qlora]'")
    import torch
    from transformers import BitsAndBytesConfig

    if config.quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    compute = torch.bfloat16 if torch.cuda.is_available() and config.device != "cpu" else torch.float32
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                              bnb_4bit_compute_dtype=compute)


def defend(model: Any) -> int:
    """Switch off the repacking of 4-bit weights, and return in how many layers it was there to switch off.

    On CPUs with avx512_bf16, bitsandbytes 0.50 repacks a layer for ever at its first forward in evaluation mode; training
    after that has wrong gradients and saves wrong weights, without any message.
    """
    layers = [module for module in model.modules() if hasattr(module, "support_avx512bf16_for_cpu")]
    for module in layers:
        module.support_avx512bf16_for_cpu = False
    return len(layers)
