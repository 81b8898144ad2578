"""Small true values for tests: prompts, completions, items, reviewers and ratings made on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from feedback.ids import CompletionId, ItemId, PolicyId, ReviewerId
from feedback.rubric import Criterion, Rubric
from feedback.schemas import (
    Completion,
    Decoding,
    Deleted,
    Message,
    Prompt,
    Purpose,
    Queue,
    RankAnswer,
    RateAnswer,
    Rating,
    Reviewer,
    ReviewItem,
    VerdictValue,
)

BASE = PolicyId("base-000000000000000000000000")
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_rubric(*names: str) -> Rubric:
    """Criteria on 1 to 5: accuracy, helpfulness, tone and safety unless named."""
    return Rubric(criteria=tuple(Criterion(name=name, title=name.capitalize())
                                 for name in names or ("accuracy", "helpfulness", "tone", "safety")))


def a_prompt(number: int = 0, *, reference: str | None = "`None`", critical: bool = False) -> Prompt:
    """A question of a family of its own."""
    return Prompt.of([Message(role="user", content=f"What is the default of argument {number}?")], family=f"family-{number}",
                     topic="defaults", reference=reference, critical=critical)


def a_completion(prompt: Prompt, index: int = 0, *, text: str | None = None, policy: PolicyId = BASE) -> Completion:
    """One answer to the prompt."""
    return Completion.of(prompt_id=prompt.id, policy_id=policy, index=index, decoding=Decoding(seed=index),
                         text=f"Answer {index} is `{index}`." if text is None else text)


def a_rate_item(completion: Completion, *, purpose: Purpose = Purpose.TRAIN, round: int = 1, reviews: int = 1,
                settles: ItemId | None = None) -> ReviewItem:
    """The completion, to be rated."""
    return ReviewItem.of(queue=Queue.RATE, purpose=purpose, round=round, prompt_id=completion.prompt_id,
                         completion_ids=[completion.id], reviews=reviews, settles=settles)


def a_rank_item(completions: Sequence[Completion], *, purpose: Purpose = Purpose.TRAIN, round: int = 1,
                reviews: int = 1) -> ReviewItem:
    """The completions, to be ranked."""
    return ReviewItem.of(queue=Queue.RANK, purpose=purpose, round=round, prompt_id=completions[0].prompt_id,
                         completion_ids=[completion.id for completion in completions], reviews=reviews)


def a_reviewer(name: str = "sim-anna") -> Reviewer:
    """A reviewer whose id follows from the name."""
    return Reviewer(id=ReviewerId(f"user-{name}"), name=name, simulated=name.startswith("sim-"))


def a_rate_answer(verdict: VerdictValue = VerdictValue.CORRECT, *, value: int = 4, rewrite: str | None = None) -> RateAnswer:
    """The same value on every criterion."""
    return RateAnswer(criteria={criterion.name: value for criterion in a_rubric().criteria}, verdict=verdict, rewrite=rewrite)


def a_rating(item_id: ItemId, reviewer: Reviewer, answer: RateAnswer | RankAnswer | Deleted | None = None, *, version: int = 1,
             minutes: float = 0, rubric: Rubric | None = None) -> Rating:
    """A rating submitted some minutes after START."""
    return Rating.of(item_id=item_id, reviewer_id=reviewer.id, version=version, answer=answer or a_rate_answer(),
                     rubric=(rubric or a_rubric()).hash, submitted_at=START + timedelta(minutes=minutes),
                     source=f"record-{item_id}")


def a_ranking(*tiers: Sequence[CompletionId]) -> RankAnswer:
    """Tiers, best first."""
    return RankAnswer(tiers=tuple(tuple(tier) for tier in tiers))
