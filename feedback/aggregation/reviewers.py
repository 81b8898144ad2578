"""What the ratings say about each reviewer: how often right, how strict, how steady, each with its interval."""

from __future__ import annotations

from collections.abc import Mapping

from feedback.aggregation.manners import Numbers
from feedback.aggregation.questions import Asked
from feedback.aggregation.verdicts import Weighing
from feedback.aggregation.votes import tally
from feedback.config import Strict
from feedback.ids import ReviewerId
from feedback.intervals import clopper_pearson
from feedback.measures import Figure, Measured, Unscored
from feedback.schemas import Purpose

WHOLE = 0.95
"""Level of the intervals."""


class ReviewerFigures(Strict):
    """One reviewer."""

    reviewer_id: ReviewerId
    name: str
    simulated: bool
    """True for a program."""
    ratings: int
    """That are in the snapshot, gold items included."""
    accuracy: Figure
    """How often the verdict is right, as if every verdict were as common. From what others say and from gold items."""
    gold: Figure
    """Share of gold items with the known verdict."""
    with_majority: Figure
    """Share of verdicts that the others' majority shares, where there is one."""
    severity: dict[str, Figure]
    """By criterion: mean of the ratings minus what they should be, in steps of the scale. Below 0 is strict."""
    spread: dict[str, Figure]
    """By criterion: standard deviation around that, in steps of the scale."""
    ranking: Figure
    """How often right about two neighbours in a ranking."""
    quarantined: str | None
    """Why their ratings count for nothing; None when they count."""


def figures(weighing: Weighing) -> tuple[ReviewerFigures, ...]:
    """Everybody in the snapshot, sorted by id."""
    contents = weighing.contents
    out = {row.reviewer_id: row.reason for row in contents.quarantined}
    gold, majority = _on_gold(weighing), _with_majority(weighing.asked["verdict"])
    criteria = {name: asked for name, asked in weighing.asked.items() if asked.question.ordered}
    return tuple(
        ReviewerFigures(
            reviewer_id=row.id, name=row.name, simulated=row.simulated,
            ratings=sum(rating.reviewer_id == row.id for rating in contents.ratings),
            accuracy=_trait(weighing.asked["verdict"], row.id, "accuracy"), gold=_share(gold.get(row.id), "rated no gold item"),
            with_majority=_share(majority.get(row.id), "no verdict on an answer on which the others have a majority"),
            severity={name: _trait(asked, row.id, "severity") for name, asked in criteria.items()},
            spread={name: _trait(asked, row.id, "spread") for name, asked in criteria.items()},
            ranking=_ranking(weighing, row.id), quarantined=out.get(row.id))
        for row in sorted(contents.reviewers, key=lambda row: row.id))


def _trait(asked: Asked, reviewer: ReviewerId, name: str) -> Figure:
    """A trait of the manners, averaged over the posterior of one reviewer."""
    if reviewer not in asked.column:
        return Unscored(reason=f"answered no {asked.question.name} that counts")
    at, trait = asked.column[reviewer], _traits(asked, name)
    n = sum(reviewer in said for said in asked.by.values())
    return _measured(asked.weighed.posterior[at] @ trait, n, asked.weighed.quantile(trait, 0.025)[at],
                     asked.weighed.quantile(trait, 0.975)[at], f"posterior of the {asked.question.name} model")


def _traits(asked: Asked, name: str) -> Numbers:
    manners = asked.weighed.manners
    return {"accuracy": manners.accuracy, "severity": manners.severity, "spread": manners.spread}[name]


def _measured(value: float, n: int, low: float, high: float, method: str) -> Figure:
    # The posterior lies on a grid of manners, so its mean may fall just outside the quantiles.
    return Measured(value=round(float(value), 4), n=n, low=round(min(float(low), float(value)), 4),
                    high=round(max(float(high), float(value)), 4), level=WHOLE, method=method)


def _ranking(weighing: Weighing, reviewer: ReviewerId) -> Figure:
    if reviewer not in weighing.rankers:
        return Unscored(reason="ranked nothing that counts")
    at = weighing.rankers[reviewer]
    n = sum(rating.reviewer_id == reviewer and rating.item_id in weighing.ranked for rating in weighing.ratings)
    low, high = (weighing.rankings.quantile(part)[at] for part in (0.025, 0.975))
    return _measured(weighing.rankings.accuracy[at], n, low, high, "posterior of the noisy Bradley-Terry model")


def _share(found: tuple[int, int] | None, reason: str) -> Figure:
    return clopper_pearson(*found, level=WHOLE) if found else Unscored(reason=reason)


def _on_gold(weighing: Weighing) -> Mapping[ReviewerId, tuple[int, int]]:
    """(right, rated) by reviewer, over gold items whose verdict is known."""
    items = {item.id for item in weighing.contents.items if item.purpose is Purpose.GOLD}
    asked = weighing.asked["verdict"]
    counts: dict[ReviewerId, tuple[int, int]] = {}
    for gold in weighing.contents.gold:
        known = asked.question.known(gold)
        if known is None or gold.item_id not in items:
            continue
        for reviewer, value in asked.by.get(gold.completion_id, {}).items():
            right, n = counts.get(reviewer, (0, 0))
            counts[reviewer] = right + (value == known), n + 1
    return counts


def _with_majority(asked: Asked) -> Mapping[ReviewerId, tuple[int, int]]:
    """(shared, compared) by reviewer, over answers on which the others have a majority."""
    counts: dict[ReviewerId, tuple[int, int]] = {}
    for said in asked.by.values():
        for reviewer, value in said.items():
            others = [vote for other, vote in said.items() if other != reviewer]
            outcome = tally(others, labels=asked.question.scale).outcome if others else None
            if outcome is not None:
                shared, n = counts.get(reviewer, (0, 0))
                counts[reviewer] = shared + (value == outcome), n + 1
    return counts
