"""How much each row counts: shares by topic, and no reviewer more than a cap. The mean over a set is 1.

Doubt about a reviewer is not here: it makes a pair's `reversed_probability`, and counting it twice would silence people.
Legend: N rows, R reviewers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from feedback.config import Strict
from feedback.errors import InvalidInput
from feedback.ids import ReviewerId, unit_interval
from feedback.training_sets.rows import KtoExample, PreferencePair, SftExample

Row = TypeVar("Row", SftExample, PreferencePair, KtoExample)

LEAST_FACTOR = 0.1
"""What a capped reviewer's rows count at least, of what they counted before: below it a few others would be everything."""
ROUNDS = 200
"""Turns of the cap; it closes in on the answer by a factor each turn."""


class ReviewerShare(Strict):
    """How much of a training set rests on one reviewer; a row of several counts for each of them in equal parts."""

    reviewer: ReviewerId
    before: float
    """Share of the set's weight before the cap, 0 to 1."""
    after: float


@dataclass(frozen=True)
class Weighed:
    """The weights of N rows, and the shares that they give."""

    weights: tuple[float, ...]
    shares: tuple[ReviewerShare, ...]
    """Largest first."""


def weigh_rows(contributors: Sequence[Sequence[ReviewerId]], *, wanted: Sequence[float], most: float) -> Weighed:
    """`wanted` weights (N), lowered where a reviewer would have more than the share `most` of the whole; mean 1.

    A cap needs somebody else to give the weight to: with too few reviewers for it (one, or two at one half) nothing changes.
    """
    names = sorted({name for row in contributors for name in row})
    if not names:
        return Weighed(weights=tuple(wanted), shares=())
    credit = _credit(contributors, names)
    start = np.asarray(wanted, dtype=float)
    factor = _factors(credit, start, most) if len(names) * most > 1 else np.ones(len(names))
    lowered = start * (credit @ factor)
    before, after = _shares(credit, start), _shares(credit, lowered)
    shares = sorted((ReviewerShare(reviewer=name, before=round(float(before[at]), 9), after=round(float(after[at]), 9))
                     for at, name in enumerate(names)), key=lambda share: (-share.before, share.reviewer))
    scaled = lowered * len(lowered) / lowered.sum()
    return Weighed(weights=tuple(round(float(weight), 9) for weight in scaled), shares=tuple(shares))


def weighed(rows: Sequence[Row], *, wanted: Sequence[float], most: float) -> tuple[tuple[Row, ...], tuple[ReviewerShare, ...]]:
    """The rows with their weights, and each reviewer's share of them."""
    found = weigh_rows([row.sources.reviewers for row in rows], wanted=wanted, most=most)
    return (tuple(row if row.weight == weight else row.model_copy(update={"weight": weight})
                  for row, weight in zip(rows, found.weights, strict=True)), found.shares)


def _credit(contributors: Sequence[Sequence[ReviewerId]], names: Sequence[ReviewerId]) -> NDArray[np.float64]:
    """Part of each row that is each reviewer's (N, R); rows add up to 1."""
    place = {name: at for at, name in enumerate(names)}
    credit = np.zeros((len(contributors), len(names)))
    for row, who in enumerate(contributors):
        for name in who:
            credit[row, place[name]] = 1 / len(who)
    return credit


def _shares(credit: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the whole by reviewer (R)."""
    return np.asarray((weights @ credit) / weights.sum())


def _factors(credit: NDArray[np.float64], weights: NDArray[np.float64], most: float) -> NDArray[np.float64]:
    """What each reviewer's part counts (R), 1 for those who are below the cap.

    Where no weights keep everybody below it (the same two rated everything together, say), the ones with the smallest largest
    share: lowering one reviewer raises the others.
    """
    factor = best = np.ones(credit.shape[1])
    smallest = np.inf
    for _ in range(ROUNDS):
        share = _shares(credit, weights * (credit @ factor))
        if share.max() < smallest:
            smallest, best = share.max(), factor
        if smallest <= most + 1e-9:
            break
        factor = np.maximum(LEAST_FACTOR, factor * np.minimum(1, most / np.maximum(share, 1e-12)))
    return best


def topic_weights(topics: Sequence[str | None], mixture: Mapping[str, float]) -> tuple[float, ...]:
    """A weight for each row (N) that gives every topic of `mixture` its share; the others divide the rest as they are.

    A topic without rows gives its share back. Raises InvalidInput when nothing is left for rows of other topics.
    """
    counts = Counter(topic if topic in mixture else None for topic in topics)
    present = {topic: share for topic, share in mixture.items() if counts[topic]}
    left = 1 - sum(present.values())
    if counts[None] and left <= 1e-9:
        raise InvalidInput(f"training_sets.mixture: its shares add up to {sum(present.values()):g}, and {counts[None]} rows have "
                           "other topics or none; leave them a share, or name their topics")
    total = sum(present.values()) if not counts[None] else 1.0
    share_of: dict[str | None, float] = {None: left}
    share_of.update(present)
    key = [topic if topic in mixture else None for topic in topics]
    return tuple(share_of[topic] / total * len(topics) / counts[topic] for topic in key)


def times(weight: float, id: str) -> int:
    """How often a row of this weight is repeated where weights are not understood: right on average, and the same for ever."""
    return int(weight) + (unit_interval(f"times:{id}") < weight % 1)
