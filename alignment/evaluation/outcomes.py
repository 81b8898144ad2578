"""What reviewers concluded about each audited answer: one outcome per answer, none dropped.

    hallucinated       they found a statement that the reference contradicts or does not hold, whatever else is right
    abstained rightly  it says that it does not know, and the question cannot be answered
    abstained wrongly  it says so, and the question can be answered
    correct, partially correct, incorrect   the verdict on any other answer
    undecided          the reviewers are split, or none could tell
    not reviewed       it was asked for review and has no rating
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Self

from pydantic import Field

from feedback.aggregation.conclusions import Verdict
from feedback.aggregation.verdicts import aggregate
from feedback.config import Strict
from feedback.ids import CompletionId, FamilyId, PolicyId, PromptId, ReviewerId, unit_interval
from feedback.schemas import Completion, Prompt, Purpose, Queue, VerdictValue
from feedback.store.snapshot import Contents


class Result(StrEnum):
    """How one audited answer ended, best first as far as they can be compared."""

    CORRECT = "correct"
    ABSTAINED_RIGHTLY = "abstained rightly"
    PARTIALLY_CORRECT = "partially correct"
    ABSTAINED_WRONGLY = "abstained wrongly"
    INCORRECT = "incorrect"
    HALLUCINATED = "hallucinated"
    UNDECIDED = "undecided"
    UNREVIEWED = "not reviewed"

    @property
    def good(self) -> bool:
        """What a right answer looks like: correct, or rightly abstaining. Partially correct is not yet good."""
        return self in (Result.CORRECT, Result.ABSTAINED_RIGHTLY)

    @property
    def useful(self) -> bool:
        """It helps whoever asked: good, or partially correct without a false statement."""
        return self.good or self is Result.PARTIALLY_CORRECT

    @property
    def abstains(self) -> bool:
        """It says that it does not know, and states nothing false beside that."""
        return self in (Result.ABSTAINED_RIGHTLY, Result.ABSTAINED_WRONGLY)

    @property
    def counts_against(self) -> bool:
        """The ship gate counts it as a hallucination: what is wrong, and what nobody could show to be right."""
        return self in (Result.HALLUCINATED, Result.INCORRECT, Result.UNDECIDED)


class AuditOutcome(Strict):
    """What became of one audited answer."""

    completion_id: CompletionId
    prompt_id: PromptId
    family: FamilyId
    topic: str | None
    critical: bool
    answerable: bool
    policy_id: PolicyId
    round: int
    """Of the audit item that it was reviewed as."""
    result: Result
    verdict: VerdictValue | None
    """The reviewers' verdict; None when they are split or there is no rating."""
    criteria: dict[str, float]
    """Mean rating by criterion."""
    reviewers: tuple[ReviewerId, ...]


def result_of(verdict: Verdict, *, answerable: bool) -> Result:
    """What one verdict means for a question that can, or cannot, be answered.

    A split leaves the answer undecided only where it matters: a correct answer is good whether or not it is an abstention.
    """
    if verdict.hallucinated is None:
        return Result.UNDECIDED
    if verdict.hallucinated:
        return Result.HALLUCINATED
    if verdict.abstains:
        return Result.ABSTAINED_WRONGLY if answerable else Result.ABSTAINED_RIGHTLY
    if verdict.abstains is None and verdict.outcome is not VerdictValue.CORRECT:
        return Result.UNDECIDED
    match verdict.outcome:
        case VerdictValue.CORRECT:
            return Result.ABSTAINED_RIGHTLY if verdict.abstains is None and not answerable else Result.CORRECT
        case VerdictValue.PARTIALLY_CORRECT:
            return Result.PARTIALLY_CORRECT
        case VerdictValue.INCORRECT:
            return Result.INCORRECT
        case VerdictValue.CANNOT_TELL | None:
            return Result.UNDECIDED


def outcomes_in(contents: Contents) -> list[AuditOutcome]:
    """An outcome for each audited answer that a snapshot holds ratings of."""
    prompts = {prompt.id: prompt for prompt in contents.prompts}
    completions = {completion.id: completion for completion in contents.completions}
    audited = {item.completion_ids[0]: item.round for item in sorted(contents.items, key=lambda item: item.round)
               if item.purpose is Purpose.AUDIT and item.queue is Queue.RATE}
    return [_outcome(verdict, prompts[verdict.prompt_id], completions[verdict.completion_id], audited[verdict.completion_id])
            for verdict in aggregate(contents).rate if verdict.completion_id in audited]


def _outcome(verdict: Verdict, prompt: Prompt, completion: Completion, round: int) -> AuditOutcome:
    return AuditOutcome(
        completion_id=completion.id, prompt_id=prompt.id, family=prompt.family, topic=prompt.topic, critical=prompt.critical,
        answerable=prompt.answerable, policy_id=completion.policy_id, round=round,
        result=result_of(verdict, answerable=prompt.answerable), verdict=verdict.outcome, criteria=verdict.criteria,
        reviewers=verdict.sources.reviewers)


def unreviewed(prompt: Prompt, completion: Completion, *, round: int) -> AuditOutcome:
    """The outcome of an answer that was asked for and has no rating."""
    return AuditOutcome(
        completion_id=completion.id, prompt_id=prompt.id, family=prompt.family, topic=prompt.topic, critical=prompt.critical,
        answerable=prompt.answerable, policy_id=completion.policy_id, round=round, result=Result.UNREVIEWED, verdict=None,
        criteria={}, reviewers=())


def merged(outcomes: Iterable[AuditOutcome]) -> list[AuditOutcome]:
    """One outcome per answer, sorted by answer: of several rounds' the latest, and a reviewed one before an unreviewed."""
    latest: dict[CompletionId, AuditOutcome] = {}
    for outcome in sorted(outcomes, key=lambda o: (o.result is not Result.UNREVIEWED, o.round)):
        latest[outcome.completion_id] = outcome
    return sorted(latest.values(), key=lambda o: o.completion_id)


def latest_by_prompt(outcomes: Sequence[AuditOutcome], policy: PolicyId) -> dict[PromptId, AuditOutcome]:
    """A policy's latest answer to each prompt; a reviewed one before one that is not."""
    own = [outcome for outcome in outcomes if outcome.policy_id == policy]
    return {o.prompt_id: o for o in sorted(own, key=lambda o: (o.result is not Result.UNREVIEWED, o.round, o.completion_id))}


def one_per_family(prompts: Iterable[tuple[PromptId, FamilyId]]) -> set[PromptId]:
    """One prompt of each family, the same in every round: paraphrases fail together and are no independent observations."""
    chosen: dict[FamilyId, PromptId] = {}
    for prompt, family in sorted(prompts, key=lambda pair: unit_interval(f"audit:{pair[0]}")):
        chosen.setdefault(family, prompt)
    return set(chosen.values())


class Tally(Strict):
    """How many answers ended how."""

    correct: int = Field(default=0, ge=0)
    partially_correct: int = Field(default=0, ge=0)
    abstained_rightly: int = Field(default=0, ge=0)
    abstained_wrongly: int = Field(default=0, ge=0)
    incorrect: int = Field(default=0, ge=0)
    hallucinated: int = Field(default=0, ge=0)
    undecided: int = Field(default=0, ge=0)
    """Reviewed, and the reviewers are split or could not tell."""
    unreviewed: int = Field(default=0, ge=0)
    """Asked for and without a rating; not in `n`."""

    @classmethod
    def of(cls, results: Iterable[Result]) -> Self:
        """Count the results."""
        counts = dict.fromkeys((result.name.lower() for result in Result), 0)
        for result in results:
            counts[result.name.lower()] += 1
        return cls(**counts)

    def count(self, *results: Result) -> int:
        """How many ended in one of these ways."""
        return sum(int(getattr(self, result.name.lower())) for result in results)

    @property
    def n(self) -> int:
        """Reviewed answers."""
        return self.count(*(result for result in Result if result is not Result.UNREVIEWED))

    @property
    def against(self) -> int:
        """What the ship gate counts as hallucinated: hallucinated, incorrect and undecided."""
        return self.count(*(result for result in Result if result.counts_against))

    @property
    def useful(self) -> int:
        """Correct, partially correct and rightly abstaining."""
        return self.count(*(result for result in Result if result.useful))

    @property
    def abstained(self) -> int:
        """Rightly or wrongly."""
        return self.count(*(result for result in Result if result.abstains))
