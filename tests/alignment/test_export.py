import importlib.util

import pytest

from alignment import registry
from alignment.export import export
from feedback.errors import InvalidInput
from tests.loop import tiny_project
from tests.tiny import tiny_base

torch = pytest.importorskip("torch", reason="training is not installed")


@pytest.fixture
def trained(tmp_path, base):
    return promoted(tmp_path, base)


def promoted(tmp_path, base, lora=None, **model_config):
    """A project whose champion has an adapter with weights of its own."""
    from sft.adapters import new_adapter, save_adapter
    from sft.config import LoraConfig
    from sft.model import load_base

    changes = {"model": {"base": str(base), "device": "cpu", "max_length": 128, "threads": 1} | model_config}
    project = tiny_project(tmp_path / "desk", base, **changes)
    loaded = load_base(project.config.model)
    torch.manual_seed(0)
    model = new_adapter(loaded, LoraConfig.model_validate({"r": 4, "alpha": 8} | (lora or {})))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.add_(torch.randn_like(weight), alpha=0.05)
    save_adapter(model, tmp_path / "adapter", base=loaded, parent=None, stage="sft", training_sets="none")
    policy = registry.register(project.policies, tmp_path / "adapter")
    with project.open_store() as store:
        registry.decide(store, registry.PROMOTION, round=1, policy_id=policy, actor="sim-lead", reason="better")
    return project


def logits(model, ids):
    with torch.inference_mode():
        return model.eval()(ids).logits


def test_a_merged_model_answers_as_base_and_adapter_do(trained, tmp_path, base):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    merged = AutoModelForCausalLM.from_pretrained(export(trained, "champion", tmp_path / "merged", merge=True))
    plain = AutoModelForCausalLM.from_pretrained(base)
    ids = torch.arange(16).unsqueeze(0)
    assert not torch.allclose(logits(merged, ids), logits(plain, ids), atol=1e-3)
    both = PeftModel.from_pretrained(plain, export(trained, "champion", tmp_path / "adapter-copy", merge=False))
    assert torch.allclose(logits(merged, ids), logits(both, ids), atol=1e-4)


@pytest.mark.parametrize("lora", [{"rslora": True}, {"dora": True}, {"init": "orthogonal"}, {"init": "pissa"}, {"init": "olora"}],
                         ids=str)
def test_every_variant_merges_into_a_model_that_answers_alike(tmp_path, base, lora):
    from transformers import AutoModelForCausalLM

    from sft.adapters import load_policy

    project = promoted(tmp_path, base, lora)
    out = export(project, "champion", tmp_path / "merged", merge=True)
    assert [path.name for path in out.glob("*.safetensors")] == ["model.safetensors"]
    adapter = export(project, "champion", tmp_path / "copy", merge=False)
    ids = torch.arange(16).unsqueeze(0)
    both = load_policy(project.config.model, adapter, trainable=True).model
    assert torch.allclose(logits(AutoModelForCausalLM.from_pretrained(out), ids), logits(both, ids), atol=1e-3)


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed (extra qlora)")
def test_a_base_in_four_bits_is_merged_in_full_and_answers_alike(tmp_path):
    from transformers import AutoModelForCausalLM

    from sft.adapters import load_policy

    project = promoted(tmp_path, tiny_base(tmp_path / "base", hidden=64), quantization="4bit")
    out = export(project, "champion", tmp_path / "merged", merge=True)
    adapter = export(project, "champion", tmp_path / "copy", merge=False)
    ids = torch.arange(16).unsqueeze(0)
    merged = AutoModelForCausalLM.from_pretrained(out)
    assert not getattr(merged, "is_quantized", False)
    both = logits(load_policy(project.config.model, adapter).model, ids)
    assert torch.allclose(logits(merged, ids), both, atol=1e-2 * float(both.abs().max()))


def test_an_existing_folder_is_not_overwritten(trained, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(InvalidInput, match="is there already; choose a new folder"):
        export(trained, "champion", tmp_path / "there", merge=False)


def test_the_base_alone_cannot_be_exported(tmp_path, base):
    with pytest.raises(InvalidInput, match="the champion is still the base"):
        export(tiny_project(tmp_path / "new", base), "champion", tmp_path / "out", merge=False)
