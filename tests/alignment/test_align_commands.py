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


def test_a_policy_is_trained_against_the_reward_ensemble_and_says_how_far_it_went(base, tmp_path):
    sets = training_sets(tmp_path / "sets", pairs=[pair(f"q{i}", "yes " * (1 + i % 3), "no") for i in range(12)])
    run("reward", "--training-sets", sets, "--base", base, "--out", tmp_path / "reward", *SMALL, "reward.trainer.max_steps=4",
        "reward.trainer.learning_rate=1e-2", "reward.ensemble=2")
    (tmp_path / "prompts.jsonl").write_text("".join(f'{{"prompt": "q{i}"}}\n' for i in range(12)))
    settings = ["sampling.max_new_tokens=8", "rl.watched=4", "rl.trainer.max_steps=2", "rl.max_disagreement=1000",
                "rl.max_kl=1000"]
    found = json.loads(run("rl", "--prompts", tmp_path / "prompts.jsonl", "--reward", tmp_path / "reward", "--training-sets",
                           sets, "--base", base, "--out", tmp_path / "rl", "--json", *SMALL, *settings))
    metrics = found["metrics"]
    assert (metrics["adapter_step"], metrics["stopped"]) == (2, None)
    assert metrics["trained_spread"] > 0
    assert metrics["after"]["spread"] > 0
    assert found["manifest"]["counts"]["trained"] + found["manifest"]["counts"]["held_out"] == 12


def test_without_json_one_line_says_what_there_is_now(base, tmp_path):
    sets = training_sets(tmp_path / "sets", pairs=[pair(f"q{i}", "yes", "no") for i in range(8)])
    said = run("dpo", "--training-sets", sets, "--base", base, "--out", tmp_path / "dpo", *SMALL, "dpo.trainer.max_steps=2")
    assert said == f"{tmp_path / 'dpo' / 'adapter'}: 2 steps on 8 pairs\n"


def test_a_missing_option_is_wrong_usage():
    for command in ("dpo", "reward", "rl", "evaluate"):
        assert CliRunner().invoke(align_app, [command]).exit_code == 2
