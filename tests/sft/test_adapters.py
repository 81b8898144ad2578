"""An adapter names its base, its parent and what it learned from, and is refused elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from feedback.errors import BaseMismatch, InvalidInput, LineageError
from sft.adapters import base_policy_id, load_policy, new_adapter, policy_id_of, read_policy, save_adapter, with_adapter
from sft.config import LoraConfig
from sft.model import base_hash, load_base
from tests.tiny import tiny_base, tiny_config


def make_adapter(base: Path, folder: Path, *, seed: int = 0, **lora: object) -> Path:
    """An adapter with random weights that do change the base's answers."""
    torch.manual_seed(seed)
    loaded = load_base(tiny_config(base))
    model = new_adapter(loaded, LoraConfig.model_validate({"r": 4} | lora))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2)
    save_adapter(model, folder, base=loaded, parent=None, stage="sft", training_sets="stage-0")
    return folder


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(base, tmp_path_factory.mktemp("adapters") / "a")


def test_an_adapter_keeps_no_path_of_this_machine_and_no_second_file(base, adapter):
    assert sorted(path.name for path in adapter.iterdir()) == ["adapter_config.json", "adapter_model.safetensors", "policy.json"]
    assert str(base) not in (adapter / "adapter_config.json").read_text() + (adapter / "policy.json").read_text()


def test_the_same_weights_are_the_same_bytes_and_the_same_policy(base, adapter, tmp_path):
    again = make_adapter(base, tmp_path / "again")
    for name in ("adapter_config.json", "adapter_model.safetensors", "policy.json"):
        assert (again / name).read_bytes() == (adapter / name).read_bytes()
    assert read_policy(make_adapter(base, tmp_path / "other", seed=1)).policy_id != read_policy(adapter).policy_id


def test_a_loaded_policy_is_the_one_that_was_saved(base, adapter):
    ids = torch.tensor([[258, 70, 71, 72]])
    merged = load_policy(tiny_config(base), adapter)
    apart = load_policy(tiny_config(base), adapter, trainable=True)
    alone = load_policy(tiny_config(base), None)
    with torch.no_grad():
        expected = apart.model.eval()(ids).logits
        assert torch.allclose(merged.model(ids).logits, expected, atol=1e-4)
        assert not torch.allclose(alone.model(ids).logits, expected, atol=1e-2)
    assert merged.id == apart.id == read_policy(adapter).policy_id == policy_id_of(tiny_config(base), adapter)


def test_the_base_alone_is_a_policy_named_by_its_hash(base):
    assert load_policy(tiny_config(base), None).id == base_policy_id(base_hash(base)) == f"base-{base_hash(base)[:24]}"


def test_another_base_is_refused_and_both_hashes_are_named(adapter, base, tmp_path):
    other = tiny_base(tmp_path, seed=1)
    for load in (lambda: load_policy(tiny_config(other), adapter), lambda: policy_id_of(tiny_config(other), adapter),
                 lambda: with_adapter(load_base(tiny_config(other)), adapter, trainable=True)):
        with pytest.raises(BaseMismatch) as refused:
            load()
        assert base_hash(base) in str(refused.value)
        assert base_hash(other) in str(refused.value)


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json"])
def test_an_altered_adapter_is_refused_with_its_folder(base, adapter, tmp_path, name):
    copy = shutil.copytree(adapter, tmp_path / "copy")
    content = bytearray((copy / name).read_bytes())
    content[-2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(LineageError, match=f"{copy}: its files hash to"):
        load_policy(tiny_config(base), copy)


def test_a_record_that_claims_another_base_is_refused(adapter, tmp_path):
    copy = shutil.copytree(adapter, tmp_path / "copy")
    record = json.loads((copy / "policy.json").read_text()) | {"base_hash": "0" * 64}
    (copy / "policy.json").write_text(json.dumps(record))
    with pytest.raises(LineageError, match="recorded is"):
        read_policy(copy)


def test_a_folder_that_is_no_adapter_is_said_to_be_none(tmp_path):
    with pytest.raises(LineageError, match=r"policy\.json: missing"):
        read_policy(tmp_path)


def test_layers_that_the_base_does_not_have_are_refused(base):
    with pytest.raises(InvalidInput, match=r"lora\.target_modules is \('nonsense',\)"):
        new_adapter(load_base(tiny_config(base)), LoraConfig(target_modules=("nonsense",)))


def test_the_default_template_is_written_down_with_the_adapter(tmp_path):
    folder = tiny_base(tmp_path / "base", template=None)
    assert "Assistant:" in read_policy(make_adapter(folder, tmp_path / "a")).chat_template
