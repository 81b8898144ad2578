"""Krippendorff's alpha: how far reviewers agree beyond chance.

1 is perfect agreement, 0 what chance would give, below 0 systematic disagreement. Any number of reviewers, any of them
may be missing on any item; an item with fewer than two ratings says nothing and is left out.

Krippendorff (2011), Computing Krippendorff's Alpha-Reliability. Legend: U items, C different values, N ratings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from feedback.aggregation.questions import Answers, Question, choice_questions, latest_answers, questions
from feedback.measures import Figure, Measured, Unscored
from feedback.schemas import Rating
from feedback.store.snapshot import Contents

Level = Literal["nominal", "ordinal", "interval"]
"""What differences mean: nominal, all alike; ordinal, by the ranks between; interval, by the squared distance."""

Value: TypeAlias = str | float
Ratings: TypeAlias = Mapping[str, Mapping[str, Value]]
"""Item -> reviewer -> value."""

Slice = Literal["topic", "round", "week"]
SLICES: tuple[Slice, ...] = ("topic", "round", "week")

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
    """Alpha by question: the verdict, both flags and each choice (nominal), then each criterion of the rubric (ordinal).

    Who cannot tell gave no verdict, and is left out of that one; so is a number outside the scale. Quarantined reviewers count
    here as well: that they disagree is what agreement shows.
    """
    # Who settles an item sees what was said before, so agreeing with it says nothing.
    settling = {item.id for item in contents.items if item.settles}
    answers = latest_answers(contents, [row for row in contents.ratings if row.item_id not in settling])
    level: dict[bool, Level] = {True: "ordinal", False: "nominal"}
    return {question.name: krippendorff_alpha(_ratings(question, answers), level[question.ordered], seed=seed)
            for question in (*questions(contents.rubric), *choice_questions(contents.rubric))}


def agreement_by(contents: Contents, part: Slice, *, seed: int = 0) -> dict[str, dict[str, Figure]]:
    """The same for each topic, round, or week in which the ratings came, sorted; slice -> question -> alpha."""
    topic = {prompt.id: prompt.topic or "no topic" for prompt in contents.prompts}
    items = {item.id: item for item in contents.items}

    def slice_of(rating: Rating) -> str:
        item = items[rating.item_id]
        match part:
            case "topic":
                return topic[item.prompt_id]
            case "round":
                return f"round {item.round:04d}"
            case "week":
                year, week, _ = rating.submitted_at.isocalendar()
                return f"{year}-W{week:02d}"

    slices: dict[str, list[Rating]] = {}
    for rating in contents.ratings:
        slices.setdefault(slice_of(rating), []).append(rating)
    return {name: agreement(replace(contents, ratings=tuple(slices[name])), seed=seed) for name in sorted(slices)}


def _ratings(question: Question, answers: Answers) -> Ratings:
    values: dict[str, dict[str, Value]] = {}
    for (completion, reviewer), answer in answers.items():
        if (value := question.read(answer)) is not None:
            values.setdefault(completion, {})[reviewer] = value if question.ordered else str(value)
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
