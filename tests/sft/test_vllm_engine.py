"""What vLLM is told, and when it is used at all."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from feedback.errors import MissingPart
from sft import vllm_engine
from sft.config import LoraConfig, ModelConfig, SamplingConfig
from tests.sft.test_adapters import make_adapter
from tests.tiny import tiny_config


def test_the_base_alone_needs_no_lora(base):
    arguments = vllm_engine.engine_arguments(tiny_config(base), None)
    assert (arguments["model"], arguments["max_model_len"]) == (str(base), 256)
    assert "enable_lora" not in arguments


def test_an_adapter_gets_a_rank_that_vllm_takes(base, tmp_path):
    adapter = make_adapter(base, tmp_path / "a", r=LoraConfig().r + 4)
    assert vllm_engine.engine_arguments(tiny_config(base), adapter)["max_lora_rank"] == 32


def test_the_seed_belongs_to_the_prompt():
    sampling = SamplingConfig(completions=3, top_p=0.9)
    first, again, other = (vllm_engine.sampling_arguments(sampling, seed=1, name=name, stop=[7]) for name in ("a", "a", "b"))
    assert first == again
    assert first["seed"] != other["seed"]
    assert (first["n"], first["top_p"], first["stop_token_ids"]) == (3, 0.9, [7])


def test_auto_takes_transformers_without_a_gpu_and_by_name_always(base):
    assert not vllm_engine.wanted(tiny_config(base), SamplingConfig(engine="auto"))
    assert not vllm_engine.wanted(tiny_config(base), SamplingConfig(engine="transformers"))


def test_vllm_by_name_says_what_it_needs(base):
    with pytest.raises(MissingPart, match="the package vllm, a CUDA GPU"):
        vllm_engine.wanted(tiny_config(base), SamplingConfig(engine="vllm"))


@pytest.mark.gpu
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None or not torch.cuda.is_available(), reason="needs vllm and a CUDA GPU")
def test_vllm_answers_greedily_what_transformers_answers(base, tmp_path):
    from feedback.schemas import Message, Prompt
    from sft import generate
    from tests.sft.test_generate import texts_of

    prompts = [Prompt.of([Message(role="user", content=f"q{i}")]) for i in range(4)]
    adapter = make_adapter(base, tmp_path / "a")
    found = []
    for engine in ("vllm", "transformers"):
        stage = generate.GenerateStage(model=ModelConfig(base=str(base), max_length=256, dtype="float32"),
                                       sampling=SamplingConfig(completions=1, temperature=0, max_new_tokens=8, engine=engine))
        generate.run(stage, prompts=prompts, adapter=adapter, out=tmp_path / engine)
        found.append(texts_of(tmp_path / engine))
    assert found[0] == found[1]
