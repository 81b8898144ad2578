"""Habits that show in rankings alone: the same places whatever stands there, and another order at the second look.

Answers are shown in an order that follows from a hash, so nobody who reads them gives the same places throughout.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TypeAlias

import numpy as np

from feedback.aggregation.panel import A_HABIT, far_more_often
from feedback.ids import CompletionId, ItemId, ReviewerId
from feedback.schemas import RankAnswer, Rating, ReviewItem

Places: TypeAlias = tuple[int, ...]
"""The tier of each answer in the order shown, 0 for the best."""


@dataclass(frozen=True, slots=True)
class Throughout:
    """One reviewer's places, given far more often than others give them."""

    reviewer: ReviewerId
    places: Places
    times: int
    rankings: int
    """Of as many answers."""
    others: float
    """Share of everybody else's."""

    @property
    def named(self) -> str:
        """For a sentence."""
        if set(self.places) == {0}:
            return "all answers tied"
        if self.places in (rising := tuple(range(len(self.places))), rising[::-1]):
            return f"the order shown{'' if self.places == rising else ', from the last to the first'},"
        return f"the places {', '.join(str(place + 1) for place in self.places)} in the order shown"


def same_places(ratings: Iterable[Rating], items: Mapping[ItemId, ReviewItem]) -> Iterator[Throughout]:
    """Who gives the same places far more often than the others do, sorted by reviewer."""
    given: dict[ReviewerId, Counter[Places]] = {}
    for rating in ratings:
        if isinstance(rating.answer, RankAnswer) and (places := _places(rating.answer, items[rating.item_id])):
            given.setdefault(rating.reviewer_id, Counter())[places] += 1
    everybody = sum(given.values(), Counter[Places]())
    for reviewer, own in sorted(given.items()):
        for size in sorted({len(places) for places in own}):
            alike = Counter({places: times for places, times in own.items() if len(places) == size})
            there = sum(times for places, times in everybody.items() if len(places) == size) - alike.total()
            others = {places: (everybody[places] - times) / there if there else 1.0 for places, times in alike.items()}
            given_so, expected = (np.array([[float(row[places]) for places in alike]])
                                  for row in (alike, {places: others[places] * alike.total() for places in alike}))
            if far_more_often(given_so, expected, least=A_HABIT).all():
                places, times = alike.most_common(1)[0]
                yield Throughout(reviewer, places, times, alike.total(), others[places])


def _places(answer: RankAnswer, item: ReviewItem) -> Places | None:
    """None where an answer of the item was not ranked."""
    tier = _tiers(answer)
    if not all(completion in tier for completion in item.completion_ids):
        return None
    at = {number: place for place, number in enumerate(sorted({tier[completion] for completion in item.completion_ids}))}
    return tuple(at[tier[completion]] for completion in item.completion_ids)


def turned_round(ratings: Iterable[Rating], items: Mapping[ItemId, ReviewItem]) -> dict[ReviewerId, tuple[int, int]]:
    """Reviewer -> (rankings of answers that were ranked before with most pairs the other way round, rankings of such answers)."""
    ranked: dict[tuple[ReviewerId, tuple[CompletionId, ...]], list[RankAnswer]] = {}
    for rating in sorted(ratings, key=lambda row: (row.submitted_at, row.id)):
        if isinstance(rating.answer, RankAnswer):
            shown = tuple(sorted(items[rating.item_id].completion_ids))
            ranked.setdefault((rating.reviewer_id, shown), []).append(rating.answer)
    found: dict[ReviewerId, tuple[int, int]] = {}
    for (reviewer, shown), answers in sorted(ranked.items()):
        for before, after in pairwise(answers):
            turned, looks = found.get(reviewer, (0, 0))
            found[reviewer] = turned + _mostly_turned(before, after, shown), looks + 1
    return found


def _mostly_turned(before: RankAnswer, after: RankAnswer, shown: Iterable[CompletionId]) -> bool:
    """More than half of the pairs that both put in an order stand in the other one."""
    one, other = _tiers(before), _tiers(after)
    signs = [(one[a] - one[b]) * (other[a] - other[b]) for a, b in combinations(shown, 2) if {a, b} <= one.keys() & other.keys()]
    turned, kept = sum(sign < 0 for sign in signs), sum(sign > 0 for sign in signs)
    return turned > kept


def _tiers(answer: RankAnswer) -> dict[CompletionId, int]:
    return {completion: number for number, tier in enumerate(answer.tiers) for completion in tier}
