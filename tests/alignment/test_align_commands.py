"""`redpen align` runs the preference stages alone on folders."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from alignment.align_commands import align_app
from tests.rows import pair, training_sets

SMALL = ["model.threads=1", "model.device=cpu"]


def run(*arguments: object) -> str:
    result = CliRunner().invoke(align_app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_preferences_train_a_policy_and_a_reward_model(base, tmp_path):
    sets = training_sets(tmp_path / "sets", pairs=[pair(f"q{i}", "yes", "no") for i in range(8)])
    manifest = json.loads(run("dpo", "--training-sets", sets, "--base", base, "--out", tmp_path / "dpo", "--json", *SMALL,
                              "dpo.beta=0.3", "dpo.trainer.max_steps=2"))
    assert (manifest["stage"], manifest["config"]["dpo"]["beta"]) == ("dpo", 0.3)
    made = json.loads(run("reward", "--training-sets", sets, "--base", base, "--out", tmp_path / "reward", "--json", *SMALL,
                          "reward.trainer.max_steps=3", "reward.trainer.learning_rate=1e-2"))
    assert (made["manifest"]["stage"], made["metrics"]["pairs"]) == ("reward", 8)


def test_without_json_one_line_says_what_there_is_now(base, tmp_path):
    sets = training_sets(tmp_path / "sets", pairs=[pair(f"q{i}", "yes", "no") for i in range(8)])
    said = run("dpo", "--training-sets", sets, "--base", base, "--out", tmp_path / "dpo", *SMALL, "dpo.trainer.max_steps=2")
    assert said == f"{tmp_path / 'dpo' / 'adapter'}: 2 steps on 8 pairs\n"


def test_a_missing_option_is_wrong_usage():
    for command in ("dpo", "reward", "evaluate"):
        assert CliRunner().invoke(align_app, [command]).exit_code == 2
