"""Who said what about which item, as index arrays; and who says one label throughout.

Legend: I items, R reviewers, K labels, N ratings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST = 10
"""Ratings below which nobody's habits are judged."""
A_HABIT = 0.8
"""Share of one label from which it may be a habit."""
BY_CHANCE = 0.001
"""Probability of so many, had the reviewer answered to what was shown, below which it is one."""


@dataclass(frozen=True)
class Panel:
    """Ratings as index arrays of length N."""

    item: NDArray[np.intp]
    reviewer: NDArray[np.intp]
    label: NDArray[np.intp]
    items: int
    reviewers: int
    labels: int
    ordered: bool
    """The labels are a scale: 0 is nearer to 1 than to 2."""


def leaning(panel: Panel, known: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Who gives one label far more often than the others give it to the same items, or than it is right (R).

    `known` (I, K): 1 for the label of an item that is known; rows of zeros otherwise. Told by the raw ratings and not by what
    they seem to mean: where many always give the same label, a model that starts from the votes takes them for the only ones
    who are right.
    """
    row = np.arange(len(panel.item))
    own = np.zeros((len(row), panel.labels))
    own[row, panel.label] = 1.0
    said = np.zeros((panel.items, panel.labels))
    np.add.at(said, (panel.item, panel.label), 1.0)
    certain = known[panel.item]
    others = np.where(certain.any(axis=1, keepdims=True), certain, said[panel.item] - own)
    # Items that are known, or that somebody else rated as well.
    shared = others.sum(axis=1) > 0
    others = others[shared] / others[shared].sum(axis=1, keepdims=True)
    times, expected = (np.zeros((panel.reviewers, panel.labels)) for _ in range(2))
    np.add.at(times, panel.reviewer[shared], own[shared])
    np.add.at(expected, panel.reviewer[shared], others)
    return far_more_often(times, expected, least=A_HABIT)


def far_more_often(times: NDArray[np.float64], expected: NDArray[np.float64], *, least: float) -> NDArray[np.bool_]:
    """Whose most frequent label is at least that share of theirs, and not to be explained by what is expected (R).

    `times` (R, K): how often each label was given; `expected` (R, K): how often it should have been.
    """
    from scipy.stats import binom

    given, most, row = times.sum(axis=1), times.argmax(axis=1), np.arange(len(times))
    # A tenth more than expected, since what is expected is an estimate; from nine in ten on nothing is far more often.
    chance = np.minimum(1.0, expected[row, most] / np.maximum(given, 1) + 0.1)
    unlikely = binom.sf(times[row, most] - 1, given, chance) < BY_CHANCE
    return np.asarray((given >= FEWEST) & (times[row, most] >= least * given) & unlikely)
