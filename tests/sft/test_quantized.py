"""A base in four bits trains and answers, with the defence against the silent repacking on."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from feedback.errors import MissingPart
from feedback.schemas import Message, Prompt
from sft import generate, train
from sft.adapters import load_policy
from sft.config import LoraConfig, SamplingConfig, SftConfig
from sft.model import load_base
from sft.quantized import defend
from tests.rows import example, training_sets
from tests.tiny import tiny_base, tiny_config

needs_bitsandbytes = pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None,
                                        reason="bitsandbytes is not installed (extra qlora)")


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory):
    """A base whose layers are wide enough for blocks of 64 weights."""
    return tiny_base(tmp_path_factory.mktemp("base"), hidden=64)


@needs_bitsandbytes
def test_a_four_bit_base_trains_a_step_and_answers(wide, tmp_path):
    config = tiny_config(wide, quantization="4bit")
    sets = training_sets(tmp_path / "sets", examples=[example(f"q{i}", "yes") for i in range(8)])
    stage = train.SftStage(model=config, lora=LoraConfig(r=4), sft=SftConfig(trainer={"max_steps": 2, "learning_rate": 1e-2}))
    train.run(stage, training_sets=sets, out=tmp_path / "out")
    policy = load_policy(config, tmp_path / "out" / "adapter")
    assert policy.model.is_loaded_in_4bit
    asked = [Prompt.of([Message(role="user", content="q1")])]
    rows = generate.sample(policy, asked, SamplingConfig(completions=2, max_new_tokens=4), 0)
    assert [row.index for row in rows] == [0, 1]


@needs_bitsandbytes
def test_every_layer_that_could_repack_its_weights_is_told_not_to(wide):
    model = load_base(tiny_config(wide, quantization="4bit")).model
    layers = [module for module in model.modules() if hasattr(module, "support_avx512bf16_for_cpu")]
    assert layers
    assert not any(module.support_avx512bf16_for_cpu for module in layers)


def test_the_defence_counts_what_it_switched_off():
    class Layer(torch.nn.Module):
        support_avx512bf16_for_cpu = True

    model = torch.nn.Sequential(Layer(), torch.nn.Linear(1, 1), Layer())
    assert defend(model) == 2
    assert not model[0].support_avx512bf16_for_cpu


def test_without_bitsandbytes_the_extra_is_named(base, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr("sft.quantized.importlib.util.find_spec", lambda name: None if name == "bitsandbytes" else real(name))
    with pytest.raises(MissingPart, match=r"redpen-rlhf\[qlora\]"):
        load_base(tiny_config(base, quantization="8bit"))
