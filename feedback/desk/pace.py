"""How fast reviews come in, and how long one takes. Pure.

Argilla tells when an answer was submitted, not when its page was opened. The seconds of an answer are those since the same
person's submission before it, when that was within IDLE_SECONDS: a longer gap was a pause, and the first answer after one
has no figure. Only first versions count; a changed answer is no verdict from scratch, though it ends the gap before the
next. Several answers sent in the same second were sent by a program and have no figure either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from feedback.config import Strict
from feedback.ids import ItemId, RatingId, ReviewerId
from feedback.measures import Figure, Measured, Unscored
from feedback.schemas import Rating, ReviewItem

IDLE_SECONDS = 600
"""Longer between two answers of one person means that they did something else."""
RECENT = timedelta(days=3)
"""What the present pace is measured over."""


class RoundPace(Strict):
    """How long a verdict took in one round."""

    round: int
    ratings: int
    seconds: Figure
    """Median seconds of one answer, of those for which it can be known."""


class Pace(Strict):
    """How long it will take."""

    reviews_per_day: Figure
    """Over the last three days, or since the first review when that is later."""
    days_left: Figure
    """Until nothing waits, at that pace."""
    hours_of_work: Figure
    """What is missing, at the median seconds of the newest round that has them."""
    rounds: tuple[RoundPace, ...]


def seconds_spent(ratings: Iterable[Rating], *, least: float = 1) -> dict[RatingId, float]:
    """Seconds of each rating for which they can be known; with `least` 0 those of programs as well."""
    by_person: dict[ReviewerId, list[Rating]] = {}
    for rating in ratings:
        by_person.setdefault(rating.reviewer_id, []).append(rating)
    spent: dict[RatingId, float] = {}
    for own in by_person.values():
        ordered = sorted(own, key=lambda row: (row.submitted_at, row.id))
        for before, rating in pairwise(ordered):
            gap = (rating.submitted_at - before.submitted_at).total_seconds()
            if rating.version == 1 and rating.answer.kind != "deleted" and least <= gap <= IDLE_SECONDS:
                spent[rating.id] = gap
    return spent


def median_seconds(values: Sequence[float]) -> Figure:
    """The median with the interval between two order statistics, whatever the distribution."""
    from scipy.stats import binom

    if len(values) < 6:
        return Unscored(reason=f"{len(values)} answers with a known time; an interval of their median needs 6")
    ordered, n = sorted(values), len(values)
    below = int(binom.ppf(0.025, n, 0.5))
    return Measured(value=median(ordered), n=n, low=ordered[max(below - 1, 0)], high=ordered[min(n - below, n - 1)],
                    method="order statistics")


def pace(ratings: Sequence[Rating], items: Mapping[ItemId, ReviewItem], *, missing: int, now: datetime) -> Pace:
    """The pace of a store's ratings, all versions, with so many reviews missing."""
    spent = seconds_spent(ratings)
    first = [rating for rating in ratings if rating.version == 1 and rating.answer.kind != "deleted"]
    per_day = _per_day(first, now)
    rounds = tuple(RoundPace(round=number, ratings=len(own), seconds=median_seconds([spent[r.id] for r in own if r.id in spent]))
                   for number, own in sorted(_by_round(first, items).items()))
    return Pace(reviews_per_day=per_day, days_left=_left(missing, per_day), hours_of_work=_work(missing, rounds), rounds=rounds)


def _by_round(ratings: Iterable[Rating], items: Mapping[ItemId, ReviewItem]) -> dict[int, list[Rating]]:
    found: dict[int, list[Rating]] = {}
    for rating in ratings:
        found.setdefault(items[rating.item_id].round, []).append(rating)
    return found


def _per_day(first: Sequence[Rating], now: datetime) -> Figure:
    recent = [rating for rating in first if now - RECENT <= rating.submitted_at <= now]
    if not recent:
        return Unscored(reason=f"nobody reviewed anything in the last {RECENT.days} days")
    # A project that began an hour ago is not measured over three days; a minute is too short to tell a pace.
    begun = max(now - RECENT, min(rating.submitted_at for rating in first))
    days = max((now - begun) / timedelta(days=1), 1 / 24)
    n, wide = len(recent), 1.96 * len(recent) ** 0.5
    return Measured(value=n / days, n=n, low=max(n - wide, 0.0) / days, high=(n + wide) / days, method="poisson, nearly normal")


def _left(missing: int, per_day: Figure) -> Figure:
    if isinstance(per_day, Unscored) or per_day.low <= 0:
        return per_day if isinstance(per_day, Unscored) else Unscored(reason=f"{per_day.n} reviews are too few to tell a pace")
    return Measured(value=missing / per_day.value, n=per_day.n, low=missing / per_day.high, high=missing / per_day.low,
                    method="from the pace")


def _work(missing: int, rounds: Sequence[RoundPace]) -> Figure:
    for one in reversed(rounds):
        if isinstance(one.seconds, Measured):
            hours = missing / 3600
            return Measured(value=one.seconds.value * hours, n=one.seconds.n, low=one.seconds.low * hours,
                            high=one.seconds.high * hours, method=f"median seconds of round {one.round}")
    return Unscored(reason="no round has six answers with a known time yet")
