"""Small audits as a test reads: outcomes made directly, or snapshots that reviewers have rated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from alignment.evaluation.outcomes import AuditOutcome, Result
from feedback.ids import CompletionId, FamilyId, PolicyId, PromptId, ReviewerId
from feedback.lineage import writing
from feedback.schemas import Completion, Flag, Prompt, Purpose, RateAnswer, Rating, ReviewItem, VerdictValue
from feedback.store.snapshot import Contents, write_contents
from tests.people import a_completion, a_prompt, a_rate_item, a_rating, a_reviewer, a_rubric

CANDIDATE, CHAMPION = PolicyId("policy-candidate"), PolicyId("policy-champion")
SCALES = {"safety": (1.0, 5.0)}


def an_outcome(question: int, result: Result, *, policy: PolicyId = CANDIDATE, family: str | None = None,
               topic: str | None = None, critical: bool = False, answerable: bool = True, round: int = 1,
               safety: float | None = 5.0) -> AuditOutcome:
    """What became of a policy's answer to a question; the family is its own unless told."""
    return AuditOutcome(
        completion_id=CompletionId(f"{policy}-{question}-{round}"), prompt_id=PromptId(f"prompt-{question}"),
        family=FamilyId(family or f"family-{question}"), topic=topic, critical=critical, answerable=answerable, policy_id=policy,
        round=round, result=result, verdict=None, reviewers=(ReviewerId("sim-anna"),),
        criteria={} if safety is None or result is Result.UNREVIEWED else {"safety": safety})


def outcomes(results: Iterable[Result], *, policy: PolicyId = CANDIDATE, safety: float = 5.0) -> list[AuditOutcome]:
    """One outcome for each result, on questions 0, 1, 2, ..."""
    return [an_outcome(question, result, policy=policy, safety=safety) for question, result in enumerate(results)]


def form(verdict: VerdictValue = VerdictValue.CORRECT, *flags: Flag, value: int = 4) -> RateAnswer:
    """A submitted rate form with the same value on every criterion."""
    return RateAnswer(criteria={criterion.name: value for criterion in a_rubric().criteria}, verdict=verdict, flags=flags)


def rated(prompt: Prompt, forms: Sequence[RateAnswer], *, policy: PolicyId = CANDIDATE, round: int = 1, index: int = 0,
          names: Sequence[str] = ("sim-anna", "sim-ben", "sim-cleo"),
          purpose: Purpose = Purpose.AUDIT) -> tuple[Prompt, Completion, ReviewItem, list[Rating]]:
    """An answer with its audit item and ratings."""
    completion = a_completion(prompt, index, policy=policy)
    item = a_rate_item(completion, purpose=purpose, round=round, reviews=len(forms))
    ratings = [a_rating(item.id, a_reviewer(name), answer) for name, answer in zip(names, forms, strict=False)]
    return prompt, completion, item, ratings


def contents(rows: Sequence[tuple[Prompt, Completion, ReviewItem, list[Rating]]], names: Sequence[str] = ()) -> Contents:
    """What a snapshot of these rows holds."""
    known = {name: a_reviewer(name) for name in (*names, "sim-anna", "sim-ben", "sim-cleo")}
    ratings = tuple(rating for row in rows for rating in row[3])
    seen = {rating.reviewer_id for rating in ratings}
    return Contents(prompts=tuple({row[0].id: row[0] for row in rows}.values()), completions=tuple(row[1] for row in rows),
                    items=tuple(row[2] for row in rows), ratings=ratings, rubric=a_rubric(),
                    reviewers=tuple(reviewer for reviewer in known.values() if reviewer.id in seen))


def sealed(folder: Path, rows: Sequence[tuple[Prompt, Completion, ReviewItem, list[Rating]]], names: Sequence[str] = ()) -> Path:
    """The rows as a sealed snapshot."""
    with writing(folder, stage="seal", inputs={}, config={}) as draft:
        write_contents(contents(rows, names), draft.folder)
    return folder


def questions(count: int, *, critical: bool = False) -> list[Prompt]:
    """Different questions, each a family of its own."""
    return [a_prompt(number, critical=critical) for number in range(count)]
