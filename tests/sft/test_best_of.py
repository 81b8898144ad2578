"""Best-of-N keeps the answer with the highest lower bound, and writes down what every candidate got."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from feedback.errors import InvalidInput, NothingToDo, StageRefused
from feedback.jsonl import read_rows
from feedback.schemas import Completion, Message, Prompt
from sft import best_of, generate
from sft.config import SamplingConfig
from tests.tiny import tiny_config

PROMPTS = [Prompt.of([Message(role="user", content=f"why {i}?")]) for i in range(5)]


@dataclass(frozen=True)
class Estimate:
    mean: float
    spread: float

    @property
    def lower(self) -> float:
        return self.mean - self.spread


def taste(text: str) -> Estimate:
    """An arbitrary judge: long answers have a high mean, and those with many different letters divide the ensemble."""
    return Estimate(mean=float(len(text)), spread=float(len(set(text))))


JUDGE = best_of.Judge(id="policy-judge", source="stage-judge", score=lambda rows: [taste(text) for _, text in rows])


def stage(base: Path, **changes: object) -> best_of.BestOfStage:
    sampling = SamplingConfig.model_validate({"max_new_tokens": 12, "batch_size": 8} | changes)
    return best_of.BestOfStage(model=tiny_config(base), sampling=sampling, best_of=5)


@pytest.fixture(scope="module")
def made(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("best") / "out"
    best_of.run(stage(base), prompts=PROMPTS, adapter=None, judge=JUDGE, out=out)
    return out


def test_the_answer_with_the_highest_lower_bound_is_kept_not_the_one_with_the_highest_mean(base, made, tmp_path):
    generate.run(generate.GenerateStage(model=tiny_config(base), sampling=stage(base).sampling.model_copy(
        update={"completions": 5})), prompts=PROMPTS, adapter=None, out=tmp_path / "all")
    every = read_rows(tmp_path / "all" / "completions.jsonl", Completion)
    kept = read_rows(made / "completions.jsonl", Completion)
    assert len(kept) == 5
    for row in kept:
        candidates = [other for other in every if other.prompt_id == row.prompt_id]
        assert taste(row.text).lower == max(taste(other.text).lower for other in candidates)
    assert any(taste(row.text).mean < max(taste(o.text).mean for o in every if o.prompt_id == row.prompt_id) for row in kept)


def test_a_kept_answer_says_how_it_was_chosen_and_the_scores_hold_every_candidate(made):
    scores = read_rows(made / "scores.jsonl", best_of.CandidateScore)
    assert len(scores) == 25
    of_kept = {row.completion_id: row for row in scores if row.kept}
    for row in read_rows(made / "completions.jsonl", Completion):
        assert (row.choice.best_of, row.choice.reward, row.choice.scores) == (5, "policy-judge", "scores.jsonl")
        assert (row.choice.mean, row.choice.spread, row.choice.lower) == (
            of_kept[row.id].mean, of_kept[row.id].spread, of_kept[row.id].lower)


def test_equal_answers_leave_the_first_and_an_empty_one_never_wins():
    rows = [Completion.of(prompt_id=PROMPTS[0].id, policy_id="p", index=i, text=text, decoding=generate.Decoding())
            for i, text in enumerate([" ", "ab", "ab"])]
    scored = [(rows[0], Estimate(9.0, 0.0)), (rows[1], Estimate(1.0, 0.0)), (rows[2], Estimate(1.0, 0.0))]
    assert [row.index for row in best_of.keep_best(scored[::-1], JUDGE)] == [1]
    assert [row.index for row in best_of.keep_best(scored[:1], JUDGE)] == [0]


def test_a_score_that_is_no_number_chooses_nothing(base, tmp_path):
    broken = best_of.Judge(id="j", source="s", score=lambda rows: [Estimate(float("nan"), 0.0) for _ in rows])
    with pytest.raises(StageRefused, match=r"the reward model j gives nan to answer 0 of prompt .* Train it again"):
        best_of.run(stage(base), prompts=PROMPTS[:1], adapter=None, judge=broken, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_and_the_same_answer_is_no_choice(base, tmp_path):
    with pytest.raises(InvalidInput, match="best-of-N needs different ones"):
        best_of.run(stage(base, temperature=0), prompts=PROMPTS, adapter=None, judge=JUDGE, out=tmp_path / "out")
    with pytest.raises(NothingToDo, match="no prompts to answer"):
        best_of.run(stage(base), prompts=[], adapter=None, judge=JUDGE, out=tmp_path / "out")
