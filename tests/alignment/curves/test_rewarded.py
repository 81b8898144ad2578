"""What the report of a run against a reward model says of runs whose course is known."""

from dataclasses import replace

import pytest

from alignment.curves.rewarded import LENGTH, REWARD, SAME, Rewarded, outcomes, report_rewarded
from alignment.rl_limits import Figures, Limits
from feedback.measures import Unscored
from sft.curves.curve import history_of
from sft.curves.finding import Finding
from sft.curves.report import read_report

BEFORE = Figures(reward=0.1, spread=0.2, kl=0.0, length=40, repetition=0.0)
AFTER = Figures(reward=0.9, spread=0.22, kl=2.0, length=44, repetition=0.01)
HEALTHY = Rewarded(before=BEFORE, after=AFTER, trained_spread=0.2, limits=Limits(), stopped=None, prompts=64)


def logged(steps: int = 20, *, same: float = 0.1) -> list[dict[str, float]]:
    rows = [{"step": n, "epoch": n / steps, "loss": 0.0, "kl": 0.002 * n, REWARD: 0.1 + 0.04 * n, LENGTH: 40.0 + n / 5,
             "spread": 0.2, "repetition": 0.0, SAME: same, "grad_norm": 1.0, "step_time": 3.1 * n} for n in range(1, steps + 1)]
    return [{"step": 0, "eval_reward": 0.1, "eval_runtime": 2.0}, *rows, {"step": steps, "train_runtime": 60.0}]


def found(run: Rewarded, *, same: float = 0.1) -> list[str]:
    return [name for name, outcome in outcomes(history_of(logged(same=same)), run).items() if isinstance(outcome, Finding)]


def test_a_healthy_run_has_none_of_the_diseases():
    assert found(HEALTHY) == []


@pytest.mark.parametrize(("changes", "disease"), [
    ({"reward": 0.1}, "reward_did_not_rise"), ({"kl": 6.0}, "far_from_reference"), ({"spread": 0.35}, "reward_unsure"),
    ({"length": 65.0}, "length_exploitation"), ({"repetition": 0.15}, "repetition")])
def test_each_disease_is_named_with_its_evidence(changes, disease):
    run = replace(HEALTHY, after=AFTER.model_copy(update=changes))
    assert found(run) == [disease]


def test_a_limit_that_ended_the_run_comes_first():
    longer = AFTER.model_copy(update={"length": 70})
    run = replace(HEALTHY, stopped="answers have 81 tokens; rl.max_length_growth allows 2", after=longer)
    assert found(run) == ["stopped", "length_exploitation"]


def test_prompts_without_a_better_answer_are_counted():
    assert found(HEALTHY, same=0.7) == ["nothing_to_choose"]


def test_of_a_single_reward_model_nothing_is_said_about_disagreement():
    alone = outcomes(history_of(logged()), replace(HEALTHY, trained_spread=0.0))["reward_unsure"]
    assert isinstance(alone, Unscored)
    assert "ensemble" in alone.reason


def test_the_page_shows_what_rose_and_no_seconds(tmp_path):
    report = report_rewarded(tmp_path, logged(), HEALTHY)
    assert read_report(tmp_path) == report
    assert report.steps == 20
    assert not [name for name in report.curves if name == "step_time" or name.startswith("eval_")]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 7
    assert "://" not in page.replace("http://www.w3.org", "")
