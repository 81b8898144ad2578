"""`redpen sft generate` samples, chooses with a reward model, and writes new questions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alignment import reward
from alignment.config import RewardConfig
from feedback.errors import BaseMismatch, InvalidInput, NothingToDo
from feedback.jsonl import read_rows
from feedback.schemas import Completion
from review_ui.cli import app
from sft.best_of import CandidateScore
from sft.config import LoraConfig
from tests.rows import pair, training_sets
from tests.tiny import tiny_base, tiny_config

SMALL = ["model.threads=1", "model.device=cpu", "sampling.max_new_tokens=8"]


def generate(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["sft", "generate", *(str(argument) for argument in arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(f'{{"prompt": "How does {i} work?", "family": "family-{i}"}}\n' for i in range(4)))
    return path


@pytest.fixture(scope="module")
def judge(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reward model that learned to like `yes`."""
    folder = tmp_path_factory.mktemp("reward")
    sets = training_sets(folder / "sets", pairs=[pair(f"q{i}", "yes " * (1 + i % 3), "no") for i in range(16)])
    stage = reward.RewardStage(model=tiny_config(base), lora=LoraConfig(r=4),
                               reward=RewardConfig(trainer={"max_steps": 10, "learning_rate": 5e-3}))
    reward.run(stage, training_sets=sets, out=folder / "out")
    return folder / "out"


def test_answers_are_sampled(base, asked, tmp_path):
    said = generate("--prompts", asked, "--base", base, "--out", tmp_path / "out", *SMALL, "sampling.completions=3")
    assert said == f"{tmp_path / 'out' / 'completions.jsonl'}: 12 answers to 4 prompts\n"


def test_the_best_of_five_by_a_trained_reward_model_is_kept(base, asked, judge, tmp_path):
    said = generate("--prompts", asked, "--base", base, "--out", tmp_path / "out", "--best-of", 5, "--reward", judge, *SMALL)
    assert said == f"{tmp_path / 'out' / 'completions.jsonl'}: 4 answers to 4 prompts, the best of 20\n"
    scores = read_rows(tmp_path / "out" / "scores.jsonl", CandidateScore)
    for row in read_rows(tmp_path / "out" / "completions.jsonl", Completion):
        assert row.choice.lower == max(score.lower for score in scores if score.prompt_id == row.prompt_id)
        assert row.choice.reward == json.loads((judge / "adapter" / "policy.json").read_text())["policy_id"]


def test_new_questions_are_written_with_their_mark(base, asked, tmp_path):
    said = generate("--prompts", asked, "--base", base, "--out", tmp_path / "out", "--augment", *SMALL, "augment.per_prompt=4",
                    "sampling.max_new_tokens=60")
    assert "new questions from" in said
    lines = [json.loads(line) for line in (tmp_path / "out" / "questions.jsonl").read_text().splitlines()]
    assert lines
    assert all(line["synthetic"] for line in lines)


def test_what_the_project_holds_out_is_not_varied(base, tmp_path):
    (tmp_path / "redpen.yaml").write_text("kind: project\nmodel: {base: smollm2}\n", encoding="utf-8")
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "How safe is it?", "family": "safety"}\n', encoding="utf-8")
    critical = {"prompt": "Is it safe?", "family": "safety", "reference": "no"}
    (tmp_path / "critical.jsonl").write_text(json.dumps(critical) + "\n", encoding="utf-8")
    for name in ("prompts.jsonl", "critical.jsonl"):
        with pytest.raises(NothingToDo, match="none of the 1 prompts may be varied"):
            generate("--prompts", tmp_path / name, "--base", base, "--out", tmp_path / "out", "--augment", *SMALL)


@pytest.mark.parametrize(("options", "problem"), [
    (["--best-of", "4"], "--best-of and --reward go together"),
    (["--augment", "--reward", "x"], "--augment writes questions, which no reward model"),
    (["--best-of", "4", "--reward", "nowhere"], "nowhere: no reward model in it"),
])
def test_options_that_do_not_fit_are_refused(base, asked, tmp_path, options, problem):
    with pytest.raises(InvalidInput, match=problem):
        generate("--prompts", asked, "--base", base, "--out", tmp_path / "out", *options, *SMALL)


def test_a_reward_model_of_another_base_is_refused(asked, judge, tmp_path):
    other = tiny_base(tmp_path / "other", seed=1)
    with pytest.raises(BaseMismatch, match="trained on base"):
        generate("--prompts", asked, "--base", other, "--out", tmp_path / "out", "--best-of", 3, "--reward", judge, *SMALL)
