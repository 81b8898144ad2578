"""A base is named by its content, found or refused with a reason."""

from __future__ import annotations

import shutil

import pytest
import torch

from feedback.errors import InvalidInput, MissingPart
from sft.model import base_hash, base_name, load_base, resolve_base, set_threads
from tests.tiny import tiny_base, tiny_config


def test_a_base_is_named_by_its_content_and_not_by_its_place(base, tmp_path):
    copy = shutil.copytree(base, tmp_path / "elsewhere")
    assert base_hash(copy) == base_hash(base)
    assert len(base_hash(base)) == 64


@pytest.mark.parametrize("changed", ["config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors"])
def test_one_changed_byte_is_another_base(base, tmp_path, changed):
    copy = shutil.copytree(base, tmp_path / "copy")
    with (copy / changed).open("ab") as file:
        file.write(b" ")
    assert base_hash(copy) != base_hash(base)


def test_the_hash_of_a_big_file_is_remembered_until_the_file_changes(base, tmp_path, monkeypatch):
    monkeypatch.setenv("REDPEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("sft.model.BIG", 1000)
    copy = shutil.copytree(base, tmp_path / "copy")
    first = base_hash(copy)
    assert (tmp_path / "cache" / "base-hashes.json").exists()
    assert base_hash(copy) == first
    tiny_base(copy, seed=1)
    assert base_hash(copy) != first


def test_a_folder_without_weights_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InvalidInput, match="must be a folder with a model's weights"):
        base_hash(tmp_path)


def test_a_base_that_is_nowhere_is_refused_with_what_is_allowed(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InvalidInput, match="'no/such': not a folder, not `smollm2`, and not to be had from the hub"):
        load_base(tiny_config("no/such"))


def test_a_hub_id_is_fetched_and_is_the_name_that_adapters_record(base, monkeypatch):
    asked = []
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **options: asked.append((name, options)) or str(base))
    assert load_base(tiny_config("some/model")).name == "some/model"
    assert [(name, "*.bin" in options["allow_patterns"]) for name, options in asked] == [("some/model", False)]


def test_a_loaded_base_can_pad_and_speak_by_a_template(base):
    loaded = load_base(tiny_config(base))
    assert loaded.name == base.name == base_name(str(base))
    assert loaded.default_template is None
    assert loaded.model.dtype == torch.float32
    assert loaded.model.config.pad_token_id == loaded.tokenizer.pad_token_id


def test_a_base_without_a_template_says_which_one_it_was_given(tmp_path):
    assert "Assistant:" in load_base(tiny_config(tiny_base(tmp_path, template=None))).default_template


def test_a_reward_base_has_a_head_of_one_number(base):
    assert load_base(tiny_config(base), task="reward").model.score.weight.shape == (1, 32)


def test_the_configured_threads_are_the_ones_that_compute(base):
    assert set_threads(tiny_config(base)) == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said(base):
    with pytest.raises(MissingPart, match="torch sees no GPU"):
        load_base(tiny_config(base, device="cuda"))


def test_a_folder_is_taken_before_a_name_that_means_something_else(base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(base, tmp_path / "smollm2")
    assert str(resolve_base("smollm2")) == "smollm2"
