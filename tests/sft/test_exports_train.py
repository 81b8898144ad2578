"""What is exported for TRL is what TRL's own trainers take: each prepares its kind and makes a step on it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.feedback.training_sets.test_export import exported
from tests.tiny import tiny_base, tiny_tokenizer

PLAIN = {"use_cpu": True, "bf16": False, "activation_checkpointing": False, "max_steps": 1, "report_to": [],
         "save_strategy": "no", "disable_tqdm": True, "max_length": 256, "per_device_train_batch_size": 2, "logging_steps": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return exported(tmp_path_factory.mktemp("sets"), "trl")


def writer(base):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(base)


def scorer(base):
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.from_pretrained(base, num_labels=1)
    return AutoModelForSequenceClassification.from_config(config)


@pytest.mark.parametrize(("kind", "trainer", "model"), [
    ("sft", "SFT", writer), ("pairs", "DPO", writer), ("kto", "KTO", writer), ("reward", "Reward", scorer)])
def test_trl_prepares_and_trains_on_each_exported_kind(tmp_path, folder, kind, trainer, model):
    import trl
    from datasets import load_from_disk

    rows = load_from_disk(str(folder / kind))
    config = getattr(trl, f"{trainer}Config")(output_dir=str(tmp_path / "run"), **PLAIN)
    made = getattr(trl, f"{trainer}Trainer")(model=model(tiny_base(tmp_path / "base")), args=config, train_dataset=rows,
                                             processing_class=tiny_tokenizer())
    assert len(made.train_dataset) == len(rows)
    made.train()
    assert math.isfinite(made.state.log_history[0]["loss"])
    # What people said is what trains: the last answer of the export is in the tokens that the trainer made.
    answer = (rows[0]["chosen"] if "chosen" in rows.column_names else rows[0]["completion"])[-1]["content"]
    assert answer in tiny_tokenizer().decode(answer_ids(made.train_dataset[0]))


def answer_ids(row) -> list[int]:
    name = next(name for name in ("chosen_ids", "completion_ids", "input_ids", "completion_input_ids") if name in row)
    return row[name]
