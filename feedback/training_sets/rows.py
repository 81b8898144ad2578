"""Training rows: demonstrations, wanted and unwanted answers, pairs, and all pairs of one question in one row."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from feedback.aggregation.conclusions import Sources
from feedback.config import Strict
from feedback.ids import ExampleId, FamilyId, PromptId
from feedback.schemas import Message, Span


class TrainingRow(Strict):
    """What every row of a training set begins with."""

    id: ExampleId
    prompt_id: PromptId
    family: FamilyId
    topic: str | None = None
    synthetic: bool = False
    """A model or a template wrote the question."""
    messages: tuple[Message, ...]


class SftExample(TrainingRow):
    """One demonstration."""

    completion: str
    origin: Literal["accepted", "adjudicated", "rewrite"]
    """Adjudicated: accepted by who settled what reviewers disagreed on."""
    weight: float = Field(default=1.0, gt=0)
    """How often it counts, from the shares of topics and the cap on one reviewer's share; the mean over a training set is 1."""
    sources: Sources


class KtoExample(TrainingRow):
    """One answer, and whether people want it."""

    completion: str
    label: bool
    """True when it is wanted."""
    weight: float = Field(default=1.0, gt=0)
    sources: Sources


PairOrigin = Literal["ranking", "rewrite", "span", "verdict", "criteria"]
"""What a pair follows from: answers side by side, a reviewer's better answer, or answers rated apart: one without the false
statement that is marked in the other, separate verdicts (correct or safe against not), ratings on the rubric's criteria."""


class PreferencePair(TrainingRow):
    """Two answers to one prompt, one of them preferred."""

    chosen: str
    rejected: str
    margin: float = Field(default=1.0, gt=0)
    """How much better, in tiers of the ranking; the reward model's margin."""
    reversed_probability: float = Field(default=0.0, ge=0, le=0.5)
    """Probability that it is the other way round, given all ratings. Doubt about the reviewers enters here alone."""
    weight: float = Field(default=1.0, gt=0)
    """For sampling, criteria and caps on one reviewer's share; the mean over a training set is 1."""
    origin: PairOrigin
    criterion: str | None = None
    """The rubric's criterion that told answers rated apart from each other; None for answers compared as wholes."""
    sources: Sources


class RankedPair(Strict):
    """One judgement between two answers of a ranked set. Ties and undecided pairs are none."""

    better: int = Field(ge=0)
    """Index into `RankedSet.completions`."""
    worse: int = Field(ge=0)
    reversed_probability: float = Field(default=0.0, ge=0, le=0.5)
    weight: float = Field(default=1.0, gt=0)
    margin: float = Field(default=1.0, gt=0)
    origin: PairOrigin
    criterion: str | None = None

    @model_validator(mode="after")
    def _compares_two(self) -> Self:
        if self.better == self.worse:
            raise ValueError(f"better and worse are both answer {self.better}; a preference needs two answers")
        return self


class RankedSet(TrainingRow):
    """Every answer to one prompt that was compared with another, and all their pairs: one packed row of the ranked trainer.

    The pairs of all ranked sets are those of pairs.jsonl, one for one.
    """

    completions: tuple[str, ...] = Field(min_length=2)
    """Ranked ones, rewrites and such as were judged apart, each text once."""
    pairs: tuple[RankedPair, ...]
    ties: tuple[tuple[int, int], ...] = ()
    """Indices of answers that reviewers found equally good side by side: told apart from what was never compared, and never
    a pair."""
    hallucinated: tuple[bool | None, ...] = ()
    """One for each completion: it states something false or unsupported. None where nobody rated it, or reviewers are split.
    Empty when nothing is known of any."""
    spans: tuple[tuple[Span, ...], ...] = ()
    """One tuple for each completion: the parts of it that reviewers marked as false. Empty when nothing is marked in any."""
    sources: Sources

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        size = len(self.completions)
        for name in ("hallucinated", "spans"):
            if (found := len(getattr(self, name))) not in {0, size}:
                raise ValueError(f"{name} has {found} entries; one for each of the {size} completions, or none")
        return self
