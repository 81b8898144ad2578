"""Krippendorff's alpha: how far reviewers agree beyond chance.

1 is perfect agreement, 0 what chance would give, below 0 systematic disagreement. Any number of reviewers, any of them
may be missing on any item; an item with fewer than two ratings says nothing and is left out.

Krippendorff (2011), Computing Krippendorff's Alpha-Reliability. Legend: U items, C different values, N ratings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from feedback.aggregation.votes import DECIDING
from feedback.measures import Figure, Measured, Unscored
from feedback.schemas import Queue, RateAnswer
from feedback.store.snapshot import Contents

Level = Literal["nominal", "ordinal", "interval"]
"""What differences mean: nominal, all alike; ordinal, by the ranks between; interval, by the squared distance."""

Value: TypeAlias = str | float
Ratings: TypeAlias = Mapping[str, Mapping[str, Value]]
"""Item -> reviewer -> value."""

CONFIDENCE = 0.95


def krippendorff_alpha(ratings: Ratings, level: Level, *, seed: int = 0, resamples: int = 1000) -> Figure:
    """Alpha with a percentile interval from resampling items; n is the number of items with at least two ratings.

    Ordinal and interval values must be numbers. Unscored when fewer than two items have two ratings, or when all those
    ratings are one value, since then chance would agree as well.
    """
    paired = [list(by.values()) for _, by in sorted(ratings.items()) if len(by) >= 2]
    if len(paired) < 2:
        return Unscored(reason=f"{len(paired)} of {len(ratings)} items have two or more ratings; agreement needs two such items")
    panel = _panel(paired, level)
    whole = panel.alpha(np.ones(len(paired)))
    if whole is None:
        return Unscored(reason=f"all ratings of {len(paired)} items are {paired[0][0]!r}; agreement cannot be told from habit")
    chance = np.random.default_rng(seed)
    each = np.full(len(paired), 1 / len(paired))
    resampled = [panel.alpha(chance.multinomial(len(paired), each).astype(float)) for _ in range(resamples)]
    low, high = np.quantile([alpha for alpha in resampled if alpha is not None], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Measured(value=whole, n=len(paired), low=float(low), high=float(high), level=CONFIDENCE,
                    method=f"krippendorff's alpha ({level}), bootstrap over items")


def agreement(contents: Contents, *, seed: int = 0) -> dict[str, Figure]:
    """Alpha by question: the verdict and both flags (nominal), then each criterion of the rubric (ordinal).

    Who cannot tell gave no verdict, and is left out of that one.
    """
    questions: dict[str, tuple[Level, Callable[[RateAnswer], Value | None]]] = {
        "verdict": ("nominal", lambda answer: answer.verdict.value if answer.verdict in DECIDING else None),
        "hallucinated": ("nominal", lambda answer: str(answer.hallucinated)),
        "abstains": ("nominal", lambda answer: str(answer.abstains))}
    for criterion in contents.rubric.criteria:
        questions[criterion.name] = ("ordinal", _rating_of(criterion.name))
    return {name: krippendorff_alpha(_ratings(contents, read), level, seed=seed) for name, (level, read) in questions.items()}


def _rating_of(name: str) -> Callable[[RateAnswer], Value | None]:
    return lambda answer: answer.criteria.get(name)


def _ratings(contents: Contents, read: Callable[[RateAnswer], Value | None]) -> Ratings:
    # Who settles an item sees what was said before, so agreeing with it says nothing.
    shown = {item.id: item.completion_ids[0] for item in contents.items if item.queue is Queue.RATE and not item.settles}
    values: dict[str, dict[str, Value]] = {}
    for rating in sorted(contents.ratings, key=lambda row: (row.submitted_at, row.id)):
        if rating.item_id in shown and isinstance(rating.answer, RateAnswer) and (value := read(rating.answer)) is not None:
            values.setdefault(shown[rating.item_id], {})[rating.reviewer_id] = value
    return values


@dataclass(frozen=True)
class _Panel:
    """Ratings as flat arrays of length N, so that a resample is a weight on each item."""

    item: NDArray[np.intp]
    value: NDArray[np.intp]
    """Index into the sorted different values."""
    sizes: NDArray[np.float64]
    """Ratings of each item (U)."""
    numbers: NDArray[np.float64]
    """The different values themselves (C), as they count at the interval level."""
    level: Level

    def alpha(self, weights: NDArray[np.float64]) -> float | None:
        """Alpha with each item counted `weights` (U) times; None when only one value is left."""
        counts = np.bincount(self.value, weights[self.item], minlength=len(self.numbers))
        if np.count_nonzero(counts) < 2:
            return None
        total = counts.sum()
        if self.level == "nominal":
            within, overall = self._unlike_within, total**2 - (counts**2).sum()
        else:
            # The ordinal metric is the interval metric on mid-ranks.
            at = self.numbers if self.level == "interval" else np.cumsum(counts) - counts / 2
            at = at - (counts @ at) / total
            within, overall = self._spread_within(at), total * (counts @ at**2)
        observed = (weights * within / (self.sizes - 1)).sum() / total
        return float(1 - observed / (overall / (total * (total - 1))))

    @cached_property
    def _unlike_within(self) -> NDArray[np.float64]:
        """Ordered pairs of different values inside each item (U)."""
        cells, times = np.unique(np.stack([self.item, self.value]), axis=1, return_counts=True)
        return self.sizes**2 - np.bincount(cells[0], times.astype(float)**2, minlength=len(self.sizes))

    def _spread_within(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Squared distances over the unordered pairs inside each item (U), for values placed at `at` (C)."""
        placed = at[self.value]
        sums = np.bincount(self.item, placed, minlength=len(self.sizes))
        return self.sizes * np.bincount(self.item, placed**2, minlength=len(self.sizes)) - sums**2


def _panel(paired: Sequence[Sequence[Value]], level: Level) -> _Panel:
    flat = [value for values in paired for value in values]
    different, indices = np.unique(np.array(flat, dtype=str if level == "nominal" else float), return_inverse=True)
    sizes = np.array([len(values) for values in paired], dtype=float)
    numbers = np.zeros(len(different)) if level == "nominal" else different
    return _Panel(item=np.repeat(np.arange(len(paired)), sizes.astype(int)), value=indices.astype(np.intp), sizes=sizes,
                  numbers=numbers, level=level)
