"""RL raises what its reward model likes, on the leash of every limit, and a killed run ends as if it had not been."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from alignment import rl
from alignment.config import RlConfig
from feedback.errors import InvalidInput, NothingToDo, StageRefused
from feedback.ids import unit_interval
from feedback.lineage import read_manifest
from feedback.schemas import Message, Prompt
from sft.adapters import read_policy
from sft.best_of import Judge
from sft.config import LoraConfig, SamplingConfig
from sft.curves.report import read_report
from tests.rows import pair, training_sets
from tests.tiny import tiny_config

PROMPTS = [Prompt.of([Message(role="user", content=f"q{i}")], family=f"family-{i}") for i in range(16)]
TRAINABLE = sum(unit_interval(f"redpen:family-{i}") >= 0.2 for i in range(16))


@dataclass(frozen=True)
class Estimate:
    mean: float
    spread: float = 0.0

    @property
    def lower(self) -> float:
        return self.mean - self.spread


def letters(text: str) -> Estimate:
    """Likes letters: they are every sixth character of a model of random weights."""
    return Estimate(mean=sum(letter.isalpha() and letter.isascii() for letter in text) / max(len(text), 1))


def judge(taste: Callable[[str], Estimate] = letters) -> Judge:
    return Judge(id="policy-judge", source="stage-judge", score=lambda rows: [taste(text) for _, text in rows])


@pytest.fixture
def taste(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], Estimate]], None]:
    """Puts a judge of known taste in the place of a trained reward model."""
    def use(liked: Callable[[str], Estimate]) -> None:
        monkeypatch.setattr(rl, "judge_of", lambda folder, model: judge(liked))

    use(letters)
    return use


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_sets(tmp_path_factory.mktemp("sets") / "03", pairs=[pair(f"q{i}", "yes", "no") for i in range(4)])


def stage(base: Path, *, trainer: dict[str, object] | None = None, **changes: object) -> rl.RlStage:
    settings = {"beta": 0.001, "watched": 8, "max_kl": 200,
                "trainer": {"max_steps": 20, "learning_rate": 2e-3, "per_device_train_batch_size": 32} | (trainer or {})}
    return rl.RlStage(model=tiny_config(base), lora=LoraConfig(r=4), sampling=SamplingConfig(max_new_tokens=12),
                      rl=RlConfig.model_validate(settings | changes))


def run(config: rl.RlStage, sets: Path, out: Path, prompts: list[Prompt] = PROMPTS) -> rl.RlMetrics:
    rl.run(config, prompts=prompts, reward=Path("reward"), training_sets=sets, parent=None, out=out)
    return rl.read_metrics(out)


@pytest.mark.parametrize("algorithm", ["rloo", "grpo"])
def test_the_reward_rises_on_the_watched_prompts_and_the_divergence_is_reported(base, sets, taste, tmp_path, algorithm):
    found = run(stage(base, algorithm=algorithm), sets, tmp_path / "out")
    assert found.after.reward > found.before.reward + 0.05
    assert (found.steps, found.stopped, found.adapter_step) == (20, None, 20)
    assert found.before.kl == pytest.approx(0.0, abs=1e-4)
    assert found.after.kl > 0.01
    manifest = read_manifest(tmp_path / "out")
    assert (manifest.stage, manifest.counts["trained"]) == ("rl", TRAINABLE)
    assert manifest.counts["held_out"] == 16 - TRAINABLE > 0
    assert read_policy(tmp_path / "out" / "adapter").stage == "rl"
    assert any("single one" in warning for warning in found.warnings)
    report = read_report(tmp_path / "out")
    assert (report.stage, report.steps, report.figures["reward"]) == ("rl", 20, found.after.reward)
    assert {finding.name for finding in report.findings}.isdisjoint({"stopped", "reward_did_not_rise"})
    assert {"rewards/lower_bound/mean", "kl", "completions/mean_length", "spread"} <= report.curves.keys()


def test_over_its_divergence_the_run_stops_with_the_last_adapter_that_kept_it(base, sets, taste, tmp_path):
    free = run(stage(base), sets, tmp_path / "free")
    bound = free.after.kl / 3
    held = run(stage(base, max_kl=bound), sets, tmp_path / "held")
    assert "rl.max_kl" in held.stopped
    assert read_report(tmp_path / "held").findings[0].evidence.startswith(held.stopped)
    assert 0 < held.adapter_step < 20
    assert held.after.kl < free.after.kl


def test_where_the_ensemble_disagrees_training_stops(base, sets, taste, tmp_path):
    # Sure of what it learned from (`yes`, `no`), and unsure of what it likes.
    taste(lambda text: Estimate(mean=2 * letters(text).mean, spread=0.1 if text in ("yes", "no") else letters(text).mean))
    found = run(stage(base, max_disagreement=2.4), sets, tmp_path / "out")
    assert found.trained_spread == pytest.approx(0.1)
    assert "rl.max_disagreement" in found.stopped


def test_a_limit_that_is_broken_before_training_is_refused(base, sets, taste, tmp_path):
    taste(lambda text: Estimate(mean=0.0, spread=0.1 if text in ("yes", "no") else 1.0))
    with pytest.raises(StageRefused, match=r"before any training the reward models disagree by 1 .*10.00 times"):
        run(stage(base), sets, tmp_path / "out")


def test_a_reward_that_is_no_number_stops_the_run(base, sets, taste, tmp_path):
    taste(lambda text: Estimate(mean=float("nan") if len(text) > 3 else 0.0))
    with pytest.raises(StageRefused, match="the reward model policy-judge gives nan to"):
        run(stage(base), sets, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_stopped_in_the_middle_ends_with_the_bytes_of_one_that_was_not(base, sets, taste, tmp_path, monkeypatch):
    config = stage(base, trainer={"max_steps": 4, "save_steps": 2, "gradient_accumulation_steps": 2})
    whole = tmp_path / "whole"
    run(config, sets, whole)
    from sft import watching

    def unplugged(self, args, state, control, real=watching._Watching.on_save, **rest):
        real(self, args, state, control, **rest)
        raise InterruptedError("unplugged")

    with monkeypatch.context() as patch:
        patch.setattr(watching._Watching, "on_save", unplugged)
        with pytest.raises(InterruptedError):
            run(config, sets, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out.partial" / "scratch").iterdir()] == ["checkpoint-2"]
    run(config, sets, tmp_path / "out")
    assert read_manifest(tmp_path / "out").outputs == read_manifest(whole).outputs


def test_nothing_to_train_on_or_to_be_judged_by_is_said(base, sets, taste, tmp_path):
    held_out = [prompt for prompt in PROMPTS if unit_interval(f"redpen:{prompt.family}") < 0.2]
    with pytest.raises(NothingToDo, match=f"none of the {len(held_out)} prompts may be trained on"):
        run(stage(base), sets, tmp_path / "out", held_out)
    long = [Prompt.of([Message(role="user", content="x" * 300)], family="family-0")]
    with pytest.raises(NothingToDo, match=r"an answer takes 12; raise model\.max_length"):
        run(stage(base), sets, tmp_path / "out", long)


def test_without_a_reward_model_nothing_is_trained(base, sets, tmp_path):
    with pytest.raises(InvalidInput, match="no reward model in it; train one with `redpen align reward`"):
        rl.run(stage(base), prompts=PROMPTS, reward=tmp_path, training_sets=sets, parent=None, out=tmp_path / "out")
