"""The commands run a stage alone on folders, and say what is wrong with what they were given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from feedback.errors import InvalidInput
from review_ui.cli import app
from sft.config import ModelConfig
from sft.stage_config import stage_config
from sft.train import SftStage
from tests.rows import example, training_sets

SMALL = ["model.threads=1", "model.device=cpu"]


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["sft", *(str(argument) for argument in arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_an_adapter_is_trained(base, tmp_path):
    sets = training_sets(tmp_path / "sets", examples=[example(f"q{i}", "yes") for i in range(8)])
    manifest = json.loads(run("train", "--training-sets", sets, "--base", base, "--out", tmp_path / "sft", "--json",
                              *SMALL, "sft.trainer.max_steps=2", "sft.trainer.learning_rate=1e-2"))
    assert (manifest["stage"], manifest["counts"]["steps"]) == ("sft", 2)


def test_a_projects_file_is_read_for_the_sections_of_the_stage(tmp_path):
    file = tmp_path / "redpen.yaml"
    file.write_text("kind: project\nmodel: {base: smollm2, threads: 2}\ndpo: {beta: 0.3}\nsft: {replay_share: 0.5}\n")
    stage = stage_config(SftStage, file=file, base=None, overrides=["sft.trainer.max_steps=3"])
    assert (stage.model, stage.sft.replay_share) == (ModelConfig(base="smollm2", threads=2), 0.5)
    assert stage.sft.trainer == {"max_steps": 3}
    assert stage_config(SftStage, file=file, base="other").model.base == "other"


@pytest.mark.parametrize(("overrides", "problem"), [
    (["dpo.beta=0.3"], "this stage has no `dpo`; allowed: model, lora, seed, sft"),
    (["sft.trainer.learning_rat=1"], "did you mean `learning_rate`"),
    (["model.thread=1"], r"command line: model\.thread: unknown key; did you mean `threads`"),
    (["lora.r"], "has no `=`"),
])
def test_a_wrong_override_is_refused_with_what_is_allowed(overrides, problem):
    with pytest.raises(InvalidInput, match=problem):
        stage_config(SftStage, file=None, base="b", overrides=overrides)


def test_no_base_at_all_is_said(tmp_path: Path):
    with pytest.raises(InvalidInput, match="give --base, or --config"):
        stage_config(SftStage, file=None, base=None)


def test_a_missing_option_is_wrong_usage():
    assert CliRunner().invoke(app, ["sft", "train"]).exit_code == 2
