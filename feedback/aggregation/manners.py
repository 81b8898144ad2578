"""The manners in which people rate, as tables: how often a reviewer of that manner says k where the truth is z.

On unordered labels a manner is an accuracy: right that often, and otherwise every other label alike. On a scale of
numbers a manner is also a severity and a spread (he rates half a point low, give or take one), the same upside down,
one number whatever is shown, or no attention at all. Legend: G manners, K labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.float64]

PRIOR_RIGHT, PRIOR_WRONG = 6.0, 2.0
"""Beta prior on an accuracy, mean 0.75. Of the priors tried in simulation the one that was nowhere worse than the majority."""

SEVERITY_SPREAD = 0.3
"""Standard deviation of severities beforehand, in steps of a five-point scale."""
TYPICAL_SPREAD, SPREAD_FACTOR = 0.7, 0.5
"""Median of the spreads beforehand, in the same steps, and the standard deviation of their logarithm."""
SHARE_OF = {"measured": 0.76, "upside down": 0.02, "inattentive": 0.035, "constant": 0.035, "accuracy": 0.15}
"""How common each kind is beforehand, on a scale of numbers."""


@dataclass(frozen=True)
class Manners:
    """Tables with their shares beforehand."""

    table: Numbers
    """Probability of saying k where the truth is z, by manner (G, K said given K true): `table[g, z, k]`."""
    share: Numbers
    """Of all reviewers, beforehand (G); adds up to 1."""

    @property
    def accuracy(self) -> Numbers:
        """How often each manner is right when every label is as common (G)."""
        return np.asarray(np.einsum("gkk->g", self.table) / self.table.shape[1])


def of_labels(count: int) -> Manners:
    """Accuracies from 0.02 to 0.98 for `count` unordered labels."""
    accuracy = np.linspace(0.02, 0.98, 49)
    share = accuracy ** (PRIOR_RIGHT - 1) * (1 - accuracy) ** (PRIOR_WRONG - 1)
    wrong = (1 - accuracy) / max(1, count - 1)
    table = np.where(np.eye(count, dtype=bool)[None], accuracy[:, None, None], wrong[:, None, None])
    return Manners(table=table, share=share / share.sum())


def of_scale(levels: int) -> Manners:
    """Severities, spreads and lapses for a scale of `levels` evenly spaced numbers."""
    measured, share = _measured(levels)
    kinds = {"measured": (measured, share), "upside down": (measured[:, ::-1], share),
             "inattentive": (np.full((1, levels, levels), 1 / levels), np.ones(1)),
             "constant": (_constant(levels), np.full(levels, 1 / levels)),
             "accuracy": (of_labels(levels).table, of_labels(levels).share)}
    table = np.concatenate([tables for tables, _ in kinds.values()])
    # Anybody may slip: no rating is impossible under any manner.
    slip = 0.02
    return Manners(table=(1 - slip) * table + slip / levels,
                   share=np.concatenate([SHARE_OF[kind] * shares for kind, (_, shares) in kinds.items()]))


def _measured(levels: int) -> tuple[Numbers, Numbers]:
    """(tables, shares): the truth plus a severity plus noise, rounded to the scale and kept inside it."""
    step = max(1.0, (levels - 1) / 4)
    severities = np.arange(-2, 2.01, 0.25)
    spreads = np.array([0.25, 0.4, 0.6, 0.8, 1.1, 1.6, 2.4])
    grid = np.array(list(product(severities, spreads)))
    truth, said = np.arange(levels)[None, :, None], np.arange(levels)[None, None, :]
    centre, spread = truth + step * grid[:, 0, None, None], step * grid[:, 1, None, None]
    above = np.where(said == levels - 1, 1.0, _normal_cdf((said + 0.5 - centre) / spread))
    below = np.where(said == 0, 0.0, _normal_cdf((said - 0.5 - centre) / spread))
    share = np.exp(-0.5 * (grid[:, 0] / SEVERITY_SPREAD) ** 2
                   - 0.5 * (np.log(grid[:, 1] / TYPICAL_SPREAD) / SPREAD_FACTOR) ** 2)
    return above - below, share / share.sum()


def _constant(levels: int) -> Numbers:
    """One number in 95 of 100 ratings, whatever is shown."""
    table = np.full((levels, levels, levels), 0.05 / (levels - 1))
    for said in range(levels):
        table[said, :, said] = 0.95
    return table


def _normal_cdf(at: Numbers) -> Numbers:
    return np.asarray(0.5 * (1 + np.vectorize(math.erf)(at / math.sqrt(2))))
