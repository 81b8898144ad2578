"""Every variant of LoRA starts by changing nothing, and what is written means the same on the base as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from feedback.errors import InvalidInput
from sft.adapters import load_policy, new_adapter, save_adapter
from sft.config import LoraConfig
from sft.model import load_base
from sft.training import start_adapter
from tests.tiny import tiny_config

VARIANTS = [{}, {"rslora": True}, {"dora": True}, {"dora": True, "rslora": True}, {"init": "gaussian"}, {"init": "orthogonal"},
            {"init": "eva"}, {"init": "pissa"}, {"init": "olora"}, {"init": "pissa", "rslora": True}]
IDS = torch.arange(16).unsqueeze(0)
ROWS = [[(7 * i + j * j) % 250 for j in range(24)] for i in range(16)]


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(IDS).logits


def fresh(base: Path, variant: dict[str, object]):
    torch.manual_seed(0)
    loaded = load_base(tiny_config(base))
    return loaded, new_adapter(loaded, LoraConfig.model_validate({"r": 4, "alpha": 8} | variant), rows=ROWS)


def moved(base: Path, variant: dict[str, object]):
    """A model whose adapter has been somewhere since."""
    loaded, model = fresh(base, variant)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.requires_grad and "lora_" in name:
                weight.add_(0.1 * torch.randn_like(weight))
    return loaded, model


def name(variant: dict[str, object]) -> str:
    return "-".join(f"{key}={value}" for key, value in variant.items()) or "plain"


@pytest.mark.parametrize("variant", VARIANTS, ids=name)
def test_a_fresh_adapter_changes_nothing_and_a_copy_of_it_neither(base, variant):
    plain = logits(load_base(tiny_config(base)).model)
    _, model = fresh(base, variant)
    assert torch.allclose(logits(model), plain, atol=1e-4)
    # As TRL does for the reference of DPO: an initialisation that takes from the base must not take twice.
    model.add_adapter("ref", model.peft_config["default"])
    assert torch.allclose(logits(model), plain, atol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS, ids=name)
def test_what_is_written_is_what_was_trained_and_can_be_continued(base, tmp_path, variant):
    loaded, model = moved(base, variant)
    expected = logits(model)
    save_adapter(model, tmp_path / "a", base=loaded, parent=None, stage="sft", training_sets="none")
    assert not torch.allclose(logits(load_base(tiny_config(base)).model), expected, atol=1e-2)
    assert torch.allclose(logits(load_policy(tiny_config(base), tmp_path / "a").model), expected, atol=1e-3)
    on = start_adapter(load_base(tiny_config(base)), tmp_path / "a", LoraConfig(), seed=0)
    assert torch.allclose(logits(on), expected, atol=1e-3)
    assert any(weight.requires_grad for weight in on.parameters())


def test_what_was_borrowed_doubles_the_rank_once(base, tmp_path):
    loaded, model = moved(base, {"init": "pissa"})
    save_adapter(model, tmp_path / "a", base=loaded, parent=None, stage="sft", training_sets="none")
    again = load_base(tiny_config(base))
    on = start_adapter(again, tmp_path / "a", LoraConfig(r=4, init="pissa"), seed=0)
    assert on.peft_config["default"].r == 8
    save_adapter(on, tmp_path / "b", base=again, parent=None, stage="sft", training_sets="none")
    before, after = ((tmp_path / name / "adapter_model.safetensors").read_bytes() for name in "ab")
    assert before == after


def test_eva_begins_with_the_directions_of_the_rows(base):
    _, model = fresh(base, {"init": "eva"})
    _, other = fresh(base, {})
    down = [weight for name, weight in model.named_parameters() if "lora_A" in name]
    # Singular vectors: of length one, and at right angles.
    assert torch.allclose(down[0] @ down[0].T, torch.eye(4), atol=1e-3)
    assert not torch.allclose(down[0], next(w for n, w in other.named_parameters() if "lora_A" in n))


@pytest.mark.parametrize(("settings", "problem"), [
    ({"dora": True, "init": "pissa"}, "dora and init: pissa do not go together"),
    ({"init": "orthogonal", "r": 3}, "needs an even rank, r is 3"),
    ({"init": "loftq"}, "'default', 'gaussian', 'orthogonal', 'eva', 'pissa' or 'olora'"),
])
def test_what_does_not_fit_together_is_refused_when_the_file_is_read(settings, problem):
    with pytest.raises(ValueError, match=problem):
        LoraConfig.model_validate(settings)


def test_a_reward_model_starts_by_default_where_a_policy_looks_at_rows(base):
    model = start_adapter(load_base(tiny_config(base), task="reward"), None, LoraConfig(r=4, init="eva"), seed=0, task="reward")
    assert all(not weight.any() for name, weight in model.named_parameters() if "lora_B" in name)


def test_eva_without_rows_is_refused(base):
    with pytest.raises(InvalidInput, match=r"lora\.init is eva, which looks at training rows"):
        new_adapter(load_base(tiny_config(base)), LoraConfig(init="eva"))
