import pytest

from alignment import registry
from alignment.export import export
from feedback.errors import InvalidInput
from tests.loop import tiny_project

torch = pytest.importorskip("torch", reason="training is not installed")


@pytest.fixture
def trained(tmp_path, base):
    """A project whose champion has an adapter with weights of its own."""
    from sft.adapters import new_adapter, save_adapter
    from sft.config import LoraConfig
    from sft.model import load_base

    project = tiny_project(tmp_path / "desk", base)
    loaded = load_base(project.config.model)
    torch.manual_seed(0)
    model = new_adapter(loaded, LoraConfig(r=4, alpha=8))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.05)
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


def test_an_existing_folder_is_not_overwritten(trained, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(InvalidInput, match="is there already; choose a new folder"):
        export(trained, "champion", tmp_path / "there", merge=False)


def test_the_base_alone_cannot_be_exported(tmp_path, base):
    with pytest.raises(InvalidInput, match="the champion is still the base"):
        export(tiny_project(tmp_path / "new", base), "champion", tmp_path / "out", merge=False)
