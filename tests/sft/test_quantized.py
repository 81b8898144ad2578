"""A base in four bits trains and answers, with the defence against the silent repacking on."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest
import torch

from feedback.errors import InvalidInput, MissingPart
from feedback.schemas import Message, Prompt
from sft import generate, train
from sft.adapters import load_policy, new_adapter
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


def gradients(model, ids):
    model.zero_grad()
    model(input_ids=ids, labels=ids).loss.backward()
    trained = [weight for _, weight in sorted(model.named_parameters()) if weight.requires_grad]
    return torch.cat([weight.grad.flatten().double() for weight in trained])


@needs_bitsandbytes
def test_gradients_after_an_answer_are_those_of_the_same_numbers_in_full(wide):
    """The bug on CPUs with avx512_bf16: after one forward in evaluation mode, gradients point elsewhere (cosine -0.28)."""
    ids = torch.arange(48).unsqueeze(0)
    config, lora = tiny_config(wide, quantization="4bit"), LoraConfig(r=4)
    torch.manual_seed(0)
    few = new_adapter(load_base(config), lora)
    whole = load_base(config)
    torch.manual_seed(0)
    full = new_adapter(replace(whole, model=whole.model.dequantize()), lora)
    for (_, weight), (_, other) in zip(few.named_parameters(), full.named_parameters(), strict=True):
        if weight.requires_grad:
            torch.nn.init.normal_(weight, std=0.1)
            other.data.copy_(weight.data)
    with torch.no_grad():
        few.eval()(input_ids=ids)
    cosine = torch.nn.functional.cosine_similarity(gradients(few.train(), ids), gradients(full.train(), ids), dim=0)
    assert cosine > 0.9999


@needs_bitsandbytes
@pytest.mark.parametrize("init", ["pissa", "olora"])
def test_an_initialisation_that_changes_the_base_is_refused_on_a_quantized_one(wide, init):
    with pytest.raises(InvalidInput, match=f"lora.init is {init}, which changes the base's weights"):
        new_adapter(load_base(tiny_config(wide, quantization="4bit")), LoraConfig(init=init))


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
