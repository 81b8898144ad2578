"""What is concluded from ratings about one answer, and about two side by side; a verdict is a posterior, not a vote."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from feedback.config import Share, Strict
from feedback.ids import CompletionId, ItemId, PromptId, RatingId, ReviewerId
from feedback.schemas import VerdictValue


class Sources(Strict):
    """The people and answers that a conclusion rests on."""

    items: tuple[ItemId, ...]
    completions: tuple[CompletionId, ...]
    reviewers: tuple[ReviewerId, ...]
    ratings: tuple[RatingId, ...]


class Verdict(Strict):
    """What is concluded about one completion from all its ratings."""

    completion_id: CompletionId
    prompt_id: PromptId
    outcome: VerdictValue | None
    """None when the reviewers are split: undecided is not a verdict of its own kind."""
    most_likely: VerdictValue
    probability: Share
    """Of `most_likely`, given the ratings."""
    hallucinated: bool | None
    """None when reviewers are split."""
    hallucination_probability: Share | None = None
    """That it states something false, from what was said about it. None where nobody said anything."""
    abstains: bool | None
    criteria: dict[str, float]
    """Mean rating by criterion."""
    rewrites: tuple[str, ...] = ()
    sources: Sources


class Outcome(StrEnum):
    """How two completions of one prompt compare."""

    FIRST = "first"
    SECOND = "second"
    TIE = "tie"
    UNDECIDED = "undecided"


class PairVerdict(Strict):
    """What is concluded about two completions shown side by side."""

    first: CompletionId
    second: CompletionId
    outcome: Outcome
    reversed_probability: float = Field(ge=0, le=0.5)
    """Probability that the outcome's preference is really the other way round. 0 for ties and undecided."""


class RankVerdict(Strict):
    """What is concluded about the completions of one rank item, pair by pair."""

    item_id: ItemId
    prompt_id: PromptId
    pairs: tuple[PairVerdict, ...]
    """All K(K-1)/2 of them."""
    rewrites: tuple[str, ...] = ()
    best: CompletionId | None
    """The one completion that beats or ties all others, when there is exactly one such."""
    sources: Sources
