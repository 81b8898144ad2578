"""Fields of TRL are known without importing it, and a wrong one is refused when the configuration is read."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import get_args

import pytest

from alignment.config import DpoConfig, RewardConfig
from feedback.config import read_yaml, validate
from feedback.errors import InvalidInput
from sft.config import SftConfig
from sft.silence import quiet
from sft.trainer_fields import OWNED, Kind, as_typed, fields, problems


@pytest.mark.parametrize("kind", get_args(Kind))
def test_the_fields_read_from_source_are_those_of_the_dataclass(kind):
    with quiet():
        import trl

        real = {field.name for field in dataclasses.fields(getattr(trl, kind))}
    assert set(fields(kind)) == real


def test_no_field_that_redpen_decides_is_one_that_trl_no_longer_has():
    every = {name for kind in get_args(Kind) for name in fields(kind)}
    assert set(OWNED) - every == {"no_cuda"}


@pytest.mark.parametrize("config", [SftConfig, DpoConfig, RewardConfig])
def test_a_misspelt_field_is_refused_with_the_nearest_name(config):
    with pytest.raises(InvalidInput, match=r"x\.yaml: trainer: learning_rat: not a field .*did you mean `learning_rate`\?"):
        validate({"trainer": {"learning_rat": 1}}, config, source="x.yaml")


def test_a_field_that_redpen_decides_is_refused_with_the_reason():
    assert problems("SFTConfig", {"output_dir": "x", "bf16": True}) == [
        "output_dir: cannot be set here; checkpoints lie in the stage's folder until it ends",
        "bf16: cannot be set here; set model.dtype instead",
    ]


def test_a_value_of_the_wrong_type_is_refused_and_what_is_allowed_is_said():
    assert problems("DPOConfig", {"num_train_epochs": "many", "max_steps": 1.5, "loss_type": ["ipo"], "report_to": "mlflow"}) == [
        "num_train_epochs: found 'many'; TRL's DPOConfig takes float",
        "max_steps: found 1.5; TRL's DPOConfig takes int",
    ]


def test_a_number_that_yaml_reads_as_a_text_is_a_number(tmp_path):
    (tmp_path / "x.yaml").write_text("trainer: {learning_rate: 1e-4, max_steps: 30}\n")
    assert read_yaml(tmp_path / "x.yaml", SftConfig).trainer == {"learning_rate": 0.0001, "max_steps": 30}
    assert as_typed("SFTConfig", {"run_name": "7"}) == {"run_name": "7"}


def test_checking_a_field_imports_neither_trl_nor_torch():
    code = ("import sys; from alignment.config import DpoConfig; DpoConfig(trainer={'learning_rate': 1e-4});"
            "sys.exit(any(name in sys.modules for name in ('trl', 'torch', 'transformers')))")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
