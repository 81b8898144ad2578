"""What is pointed out among the rows that are kept: answers that nearly repeat each other, disagree, or are out of date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import combinations

from feedback.aggregation.verdicts import aggregate
from feedback.config import CurationConfig
from feedback.curation.contradictions import MOST_ANSWERS, disagreements, outdated
from feedback.curation.duplicates import conversation
from feedback.curation.ledger import Kind, Ledger
from feedback.curation.near import alike
from feedback.ids import PromptId, RatingId
from feedback.schemas import Completion, VerdictValue
from feedback.store.snapshot import Contents

SIMILARITY = 0.8
"""Of two answers' 4-grams, from which they are near duplicates."""


@dataclass(frozen=True, slots=True)
class _Good:
    """An answer that was accepted, or that a reviewer wrote: it may become a demonstration."""

    kind: Kind
    id: str
    text: str

    @property
    def named(self) -> str:
        """For a sentence."""
        return f"accepted like {self.id}" if self.kind == "completion" else f"beside the rewrite of {self.id}"


def point_out(kept: Contents, rewrites: Mapping[RatingId, str], config: CurationConfig, ledger: Ledger) -> None:
    """Enter near duplicates, contradictions and outdated answers among `kept` and the `rewrites` in its ratings."""
    asked = {prompt.id: conversation(prompt.messages) for prompt in kept.prompts}
    by_question: dict[object, list[Completion]] = {}
    for row in sorted(kept.completions, key=lambda row: row.id):
        by_question.setdefault(asked[row.prompt_id], []).append(row)
    if config.near_duplicates == "flag":
        for rows in by_question.values():
            _near_duplicates(rows, ledger)
    if config.contradictions == "flag":
        right = {verdict.completion_id for verdict in aggregate(kept).rate if verdict.outcome is VerdictValue.CORRECT}
        today = max(rating.submitted_at for rating in kept.ratings).date() if kept.ratings else date.min
        written = _written(kept, rewrites, asked)
        for question, rows in by_question.items():
            good = [_Good("completion", row.id, row.text) for row in rows if row.id in right] + written.get(question, [])
            _contradictions(good, ledger)
            _outdated(good, today, ledger)


def _written(kept: Contents, rewrites: Mapping[RatingId, str], asked: Mapping[PromptId, object]) -> dict[object, list[_Good]]:
    """Question -> what reviewers wrote in the place of answers to it, sorted by id."""
    prompt = {item.id: item.prompt_id for item in kept.items}
    found: dict[object, list[_Good]] = {}
    for rating in sorted(kept.ratings, key=lambda row: row.id):
        if rating.id in rewrites:
            found.setdefault(asked[prompt[rating.item_id]], []).append(_Good("rating", rating.id, rewrites[rating.id]))
    return found


def _near_duplicates(rows: list[Completion], ledger: Ledger) -> None:
    known: set[str] = set()
    for one, other in _pairs(rows):
        if other.id not in known and one.text != other.text and alike(one.text, other.text, similarity=SIMILARITY):
            known.add(other.id)
            ledger.flag("completion", other.id, step="near duplicate", reason=f"nearly the same text as {one.id}")


def _pairs(rows: list[Completion]) -> Iterator[tuple[Completion, Completion]]:
    return combinations(rows[:MOST_ANSWERS], 2)


def _contradictions(good: list[_Good], ledger: Ledger) -> None:
    for found in disagreements([row.text for row in good]):
        one, other = good[found.one], good[found.other]
        ledger.flag(other.kind, other.id, step="contradiction", reason=f"{one.named}, which says {found.reason}")


def _outdated(good: list[_Good], today: date, ledger: Ledger) -> None:
    for row in good:
        if passed := outdated(row.text, today=today):
            ledger.flag(row.kind, row.id, step="outdated", reason=f"holds until {passed}; the newest rating is of {today}")
