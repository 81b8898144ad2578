"""Answers from vLLM, with the adapter as a LoRA request: for a GPU, where it is installed."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from feedback.errors import MissingPart
from sft.adapters import SETTINGS
from sft.config import ModelConfig, SamplingConfig
from sft.decode import Answer
from sft.model import base_folder

PROMPTS_AT_ONCE = 512
"""Prompts handed over together: vLLM batches them as it likes, and an interrupted run loses at most these."""


def wanted(model: ModelConfig, sampling: SamplingConfig) -> bool:
    """vLLM shall answer: asked for, or `auto` with vLLM installed and a GPU in reach.

    Raises MissingPart when it is asked for by name and cannot work.
    """
    if sampling.engine == "transformers":
        return False
    able = importlib.util.find_spec("vllm") is not None and model.device != "cpu" and model.quantization == "none" and _gpu()
    if sampling.engine == "vllm" and not able:
        raise MissingPart("sampling.engine is vllm, which needs the package vllm, a CUDA GPU and model.quantization: none; "
                          "install vllm, or use engine: auto")
    return able


def _gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def start(model: ModelConfig, adapter: Path | None, sampling: SamplingConfig, *, seed: int,
          stop: Sequence[int]) -> Callable[[Sequence[str], Sequence[list[int]]], list[Answer]]:
    """Load the base into vLLM; returns a function from (prompt ids, their tokens) to K answers each."""
    from vllm import LLM, SamplingParams
    from vllm.lora.request import LoRARequest

    engine = LLM(**engine_arguments(model, adapter))
    lora = LoRARequest("adapter", 1, str(adapter)) if adapter else None

    def ask(names: Sequence[str], tokens: Sequence[list[int]]) -> list[Answer]:
        settings = [SamplingParams(**sampling_arguments(sampling, seed=seed, name=name, stop=stop)) for name in names]
        inputs = [{"prompt_token_ids": ids} for ids in tokens]
        outputs = engine.generate(inputs, settings, lora_request=lora, use_tqdm=False)
        return [_answer(one, stop) for output in outputs for one in output.outputs]

    return ask


def engine_arguments(model: ModelConfig, adapter: Path | None) -> dict[str, Any]:
    """How vLLM's LLM is made."""
    dtype = "auto" if model.dtype == "auto" else model.dtype
    made: dict[str, Any] = {"model": str(base_folder(model.base)), "dtype": dtype, "max_model_len": model.max_length,
                            "trust_remote_code": model.trust_remote_code, "enable_prefix_caching": True}
    if adapter:
        rank = json.loads((adapter / SETTINGS).read_text(encoding="utf-8"))["r"]
        # vLLM takes certain ranks only; the next one above holds the adapter.
        made |= {"enable_lora": True, "max_lora_rank": next(size for size in (8, 16, 32, 64, 128, 256, 320, 512) if size >= rank)}
    return made


def sampling_arguments(sampling: SamplingConfig, *, seed: int, name: str, stop: Sequence[int]) -> dict[str, Any]:
    """How vLLM samples the answers to one prompt: the seed belongs to the prompt, not to its place in the list."""
    own = int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:4], "big") >> 1
    return {"n": sampling.completions, "temperature": sampling.temperature, "top_p": sampling.top_p,
            "max_tokens": sampling.max_new_tokens, "seed": own, "stop_token_ids": list(stop), "detokenize": False}


def _answer(output: Any, stop: Sequence[int]) -> Answer:
    ids = list(output.token_ids)
    ended_by = next((i for i in ids if i in stop), None)
    return Answer(ids=[i for i in ids if i not in stop], finished=output.finish_reason == "stop", ended_by=ended_by)
