"""What is pointed out among the rows that are kept: answers that nearly repeat each other, disagree, or are out of date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import combinations

from feedback.aggregation.verdicts import aggregate
from feedback.config import CurationConfig
from feedback.curation.contradictions import MOST_ANSWERS, disagreements, outdated
from feedback.curation.duplicates import conversation
from feedback.curation.ledger import Ledger
from feedback.curation.near import alike
from feedback.schemas import Completion, VerdictValue
from feedback.store.snapshot import Contents

SIMILARITY = 0.8
"""Of two answers' 4-grams, from which they are near duplicates."""


def point_out(kept: Contents, config: CurationConfig, ledger: Ledger) -> None:
    """Enter near duplicates, contradictions and outdated answers among `kept`."""
    by_question = _by_question(kept)
    if config.near_duplicates == "flag":
        for rows in by_question:
            _near_duplicates(rows, ledger)
    if config.contradictions == "flag":
        right = {verdict.completion_id for verdict in aggregate(kept).rate if verdict.outcome is VerdictValue.CORRECT}
        today = max(rating.submitted_at for rating in kept.ratings).date() if kept.ratings else date.min
        for rows in by_question:
            accepted = [row for row in rows if row.id in right]
            _contradictions(accepted, ledger)
            _outdated(accepted, today, ledger)


def _by_question(kept: Contents) -> list[list[Completion]]:
    """The answers to each question, sorted by id, whatever prompt asks it."""
    asked = {prompt.id: conversation(prompt.messages) for prompt in kept.prompts}
    rows: dict[object, list[Completion]] = {}
    for row in sorted(kept.completions, key=lambda row: row.id):
        rows.setdefault(asked[row.prompt_id], []).append(row)
    return list(rows.values())


def _near_duplicates(rows: list[Completion], ledger: Ledger) -> None:
    known: set[str] = set()
    for one, other in _pairs(rows):
        if other.id not in known and one.text != other.text and alike(one.text, other.text, similarity=SIMILARITY):
            known.add(other.id)
            ledger.flag("completion", other.id, step="near duplicate", reason=f"nearly the same text as {one.id}")


def _pairs(rows: list[Completion]) -> Iterator[tuple[Completion, Completion]]:
    return combinations(rows[:MOST_ANSWERS], 2)


def _contradictions(accepted: list[Completion], ledger: Ledger) -> None:
    for found in disagreements([row.text for row in accepted]):
        one, other = accepted[found.one], accepted[found.other]
        ledger.flag("completion", other.id, step="contradiction", reason=f"accepted like {one.id}, and says {found.reason}")


def _outdated(accepted: list[Completion], today: date, ledger: Ledger) -> None:
    for row in accepted:
        if passed := outdated(row.text, today=today):
            ledger.flag("completion", row.id, step="outdated", reason=f"holds until {passed}; the newest rating is of {today}")
