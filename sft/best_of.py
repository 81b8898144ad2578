"""Best-of-N: several answers to each prompt are sampled, and the one that a reward model is surest about is kept.

What scores is handed in, so that this package knows nothing of how a reward model was made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from pydantic import Field

from feedback.config import Strict
from feedback.errors import InvalidInput, NothingToDo, StageRefused
from feedback.ids import CompletionId, PromptId
from feedback.jsonl import write_rows
from feedback.lineage import Manifest, read_manifest, writing
from feedback.schemas import Choice, Completion, Prompt
from sft.generate import GenerateStage, answers, engine_of, inputs_of, write
from sft.model import set_threads

SCORES = "scores.jsonl"


class Estimate(Protocol):
    """What a reward model says about one answer; only differences within one prompt mean anything."""

    @property
    def mean(self) -> float:
        """Of the ensemble's members."""
    @property
    def spread(self) -> float:
        """Their standard deviation: how little they agree. 0 for a single model."""
    @property
    def lower(self) -> float:
        """What the reward is at least, allowing for their disagreement. Higher is better."""


Scorer: TypeAlias = Callable[[Sequence[tuple[Prompt, str]]], Sequence[Estimate]]
"""(prompt, answer) rows -> an estimate of each, in order."""


@dataclass(frozen=True)
class Judge:
    """A reward model ready to be asked."""

    id: str
    """Its policy id."""
    source: str
    """What a manifest records of it: the hash of the stage or files that it was read from."""
    score: Scorer


class BestOfStage(GenerateStage):
    """Everything that decides which answers are kept, beside the prompts, the adapter and the reward model."""

    best_of: int = Field(ge=2)
    """Answers sampled for each prompt; it replaces `sampling.completions`."""


class CandidateScore(Strict):
    """One line of `scores.jsonl`: what the reward model said about one candidate."""

    completion_id: CompletionId
    prompt_id: PromptId
    index: int
    mean: float
    spread: float
    lower: float
    kept: bool


def run(config: BestOfStage, *, prompts: Sequence[Prompt], adapter: Path | None, judge: Judge, out: Path) -> Manifest:
    """Write one answer to each prompt into `out`/completions.jsonl, and every candidate's score into `out`/scores.jsonl.

    An interrupted run goes on with the answers that it had. Raises NothingToDo without prompts, InvalidInput for prompts that
    leave no room for an answer or a temperature of 0, StageRefused when a score is not a number.
    """
    if not prompts:
        raise NothingToDo(f"{out}: no prompts to answer; give at least one")
    if config.sampling.temperature == 0:
        raise InvalidInput("sampling.temperature is 0, so all answers to a prompt are the same; best-of-N needs different ones")
    asked = config.model_copy(update={"sampling": config.sampling.model_copy(update={"completions": config.best_of})})
    inputs = inputs_of(config, prompts, adapter) | {"reward": judge.source}
    with writing(out, stage="generate", inputs=inputs, config=config) as draft:
        draft.threads = set_threads(config.model)
        sampled = answers(engine_of(asked, adapter), prompts, asked.sampling, config.seed, max_length=config.model.max_length,
                          finished=draft.scratch / "answers.jsonl")
        scored = score_all(sampled, {prompt.id: prompt for prompt in prompts}, judge)
        kept = keep_best(scored, judge)
        write(draft, prompts, kept)
        draft.counts["candidates"] = write_rows(draft.folder / SCORES, _lines(scored, kept))
    return read_manifest(out)


def score_all(completions: Sequence[Completion], prompts: Mapping[PromptId, Prompt],
              judge: Judge) -> list[tuple[Completion, Estimate]]:
    """Each answer with its estimate. Raises StageRefused when one is not a number."""
    found = judge.score([(prompts[row.prompt_id], row.text) for row in completions])
    for row, estimate in zip(completions, found, strict=True):
        if not all(math.isfinite(value) for value in (estimate.mean, estimate.spread, estimate.lower)):
            raise StageRefused(f"the reward model {judge.id} gives {estimate.lower} to answer {row.index} of prompt "
                               f"{row.prompt_id} ({row.text[:40]!r}); it cannot choose. Train it again with a "
                               "lower reward.trainer.learning_rate")
    return list(zip(completions, found, strict=True))


def keep_best(scored: Sequence[tuple[Completion, Estimate]], judge: Judge) -> list[Completion]:
    """The answer of each prompt with the highest lower bound, the first of equal ones; an empty answer only where all are."""
    best: dict[PromptId, tuple[Completion, Estimate]] = {}
    counted: dict[PromptId, int] = {}
    for row, estimate in scored:
        counted[row.prompt_id] = counted.get(row.prompt_id, 0) + 1
        held = best.get(row.prompt_id)
        if held is None or _merit(row, estimate) > _merit(*held):
            best[row.prompt_id] = row, estimate
    return [row.model_copy(update={"choice": Choice(
        best_of=counted[row.prompt_id], reward=judge.id, mean=estimate.mean, spread=estimate.spread, lower=estimate.lower,
        scores=SCORES)}) for row, estimate in best.values()]


def _merit(row: Completion, estimate: Estimate) -> tuple[bool, float, int]:
    return bool(row.text.strip()), estimate.lower, -row.index


def _lines(scored: Sequence[tuple[Completion, Estimate]], kept: Sequence[Completion]) -> list[CandidateScore]:
    chosen = {row.id for row in kept}
    rows = sorted(scored, key=lambda pair: (pair[0].prompt_id, pair[0].index))
    return [CandidateScore(completion_id=row.id, prompt_id=row.prompt_id, index=row.index, mean=estimate.mean,
                           spread=estimate.spread, lower=estimate.lower, kept=row.id in chosen) for row, estimate in rows]
