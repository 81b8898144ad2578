"""The manners in which people rate, as tables: how often a reviewer of that manner says k where the truth is z.

On unordered labels a manner is an accuracy: right that often, and otherwise every other label alike. It may also be two, one for
the common label and one for the others (Raykar et al. 2010): who never sees an error where there is none may miss some that
there are. On a scale of numbers a manner is also a severity, a spread and a share of lapses (half a point low, give or take
one, and one rating in four at random), the same upside down, one number whatever is shown, or no attention at all.
Legend: G manners, S of them with two accuracies, K labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.float64]

PRIOR_RIGHT, PRIOR_WRONG = 6.0, 2.0
"""Beta prior on an accuracy, mean 0.75. Of the priors tried in simulation the one that was nowhere worse than the majority."""

SEVERITY_SPREAD = 0.4
"""Standard deviation of severities beforehand, in steps of a five-point scale."""
SEVERITIES = tuple(0.3 * step for step in range(-5, 6))
SPREADS = (0.3, 0.45, 0.6, 0.8, 1.05, 1.4, 2.0)
"""The severities and spreads that a manner may have, in the same steps."""
TYPICAL_SPREAD, SPREAD_FACTOR = 0.7, 0.5
"""Median of the spreads beforehand, in the same steps, and the standard deviation of their logarithm."""
LAPSES = {0.0: 0.95, 0.25: 0.05}
"""Share of ratings given at random -> how common such reviewers are among those who measure."""
SHARE_OF = {"measured": 0.76, "upside down": 0.02, "inattentive": 0.035, "constant": 0.035, "accuracy": 0.15}
"""How common each kind is beforehand, on a scale of numbers."""
HABIT = 0.01
"""How common one label throughout is beforehand, where labels are no scale."""
SIDES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.88, 0.94, 0.98)
"""The accuracies that a manner may have for the common label and for the others."""
SIDED = 0.3
"""How common two accuracies are beforehand. Between 0.3 and 0.7 it made no difference that could be measured."""
MISSED = 0.75
"""Of the mistakes about other labels, those that take them for the common one, where a manner has two accuracies."""
SLIP = 0.002
"""Anybody may slip: on a scale no rating is impossible under any manner. At ten times as much, equal reviewers came out half a
point lower against the plain mean, which knows of no slips."""


@dataclass(frozen=True)
class Manners:
    """Tables with their shares beforehand."""

    table: Numbers
    """Probability of saying k where the truth is z, by manner (G, K said given K true): `table[g, z, k]`."""
    share: Numbers
    """Of all reviewers, beforehand (G); adds up to 1."""
    ordered: bool
    """The labels are a scale."""
    mirror: NDArray[np.intp]
    """The manner that is as lenient as this one is strict, or itself where there is none such (G)."""
    habit: NDArray[np.bool_]
    """One number whatever is shown (G)."""
    sided: NDArray[np.bool_]
    """An accuracy for the common label and one for the others (G)."""
    sides: Numbers
    """Those accuracies of each manner that is `sided` (S, 2)."""

    @cached_property
    def accuracy(self) -> Numbers:
        """How often each manner is right when every label is as common (G)."""
        return np.asarray(np.einsum("gkk->g", self.table) / self.table.shape[1])

    @cached_property
    def severity(self) -> Numbers:
        """Mean of what is said minus the truth, in levels, when every level is as common (G). Below 0 is strict."""
        return np.asarray(np.einsum("gzk,zk->g", self.table, self._apart) / self.table.shape[1])

    @cached_property
    def spread(self) -> Numbers:
        """Standard deviation of what is said around the truth and the severity, in levels (G)."""
        square = np.einsum("gzk,zk->g", self.table, self._apart**2) / self.table.shape[1]
        return np.asarray(np.sqrt(np.maximum(0.0, square - self.severity**2)))

    @cached_property
    def bearing(self) -> Numbers:
        """How what is said goes with the truth (G): 1 always, 0 not at all, below 0 against it.

        On labels (accuracy - 1/K) / (1 - 1/K); on a scale the correlation of what is said with the truth.
        """
        labels = self.table.shape[1]
        if not self.ordered:
            return np.asarray((self.accuracy - 1 / labels) / max(1 / labels, 1 - 1 / labels))
        at = np.arange(labels) - (labels - 1) / 2
        said = self.table.mean(axis=1)
        variance = said @ at**2 - (said @ at) ** 2
        together = np.einsum("z,gzk,k->g", at, self.table, at) / labels
        return np.asarray(together / np.sqrt(np.maximum(variance, 1e-12) * (at**2).mean()))

    @property
    def _apart(self) -> Numbers:
        labels = np.arange(self.table.shape[1], dtype=float)
        return labels[None, :] - labels[:, None]


@lru_cache(maxsize=32)
def of_labels(count: int, common: int = 0) -> Manners:
    """Accuracies from 0.02 to 0.98 for `count` unordered labels, of which `common` is the commonest.

    One label throughout counts only for those who lean on one (`panel.leaning`): where nearly all answers are alike, everybody
    looks so.
    """
    right, rightness = _accuracies(count, 49)
    constant, habit = (_constant(count), HABIT) if count > 1 else (right[:0], 0.0)
    sides = np.array([pair for pair in product(SIDES, SIDES) if pair[0] != pair[1] and count > 1]).reshape(-1, 2)
    usual, often = PRIOR_RIGHT / (PRIOR_RIGHT + PRIOR_WRONG), SIDED * (count > 1)
    likely = of_sides(sides, mean=(usual, usual), concentration=PRIOR_RIGHT + PRIOR_WRONG)
    share = np.concatenate([(1 - habit - often) * rightness, np.full(len(constant), habit / count), often * likely])
    kinds = np.repeat([0, 1, 2], [len(right), len(constant), len(sides)])
    return Manners(table=np.concatenate([right, constant, _sided(sides, count, common)]), share=share, ordered=False,
                   mirror=np.arange(len(share)), habit=kinds == 1, sided=kinds == 2, sides=sides)


@lru_cache(maxsize=32)
def of_scale(levels: int) -> Manners:
    """Severities, spreads and lapses for a scale of `levels` evenly spaced numbers."""
    measured, share = _measured(levels)
    lapsing = [(1 - lapse) * measured + lapse / levels for lapse in LAPSES]
    right, rightness = _accuracies(levels, 13)
    kinds = {"measured": (np.concatenate(lapsing), np.concatenate([common * share for common in LAPSES.values()])),
             "upside down": (measured[:, ::-1], share),
             "inattentive": (np.full((1, levels, levels), 1 / levels), np.ones(1)),
             "constant": (_constant(levels), np.full(levels, 1 / levels)),
             "accuracy": (right, rightness)}
    table = np.concatenate([tables for tables, _ in kinds.values()])
    # The measured manners come first: lapses, in them severities, in them spreads.
    mirror, measures = np.arange(len(table)), len(LAPSES) * len(share)
    mirror[:measures] = mirror[:measures].reshape(len(LAPSES), len(SEVERITIES), len(SPREADS))[:, ::-1].ravel()
    habit = np.concatenate([np.full(len(shares), kind == "constant") for kind, (_, shares) in kinds.items()])
    return Manners(table=(1 - SLIP) * table + SLIP / levels, ordered=True, mirror=mirror, habit=habit,
                   sided=np.zeros_like(habit), sides=np.zeros((0, 2)),
                   share=np.concatenate([SHARE_OF[kind] * shares for kind, (_, shares) in kinds.items()]))


def _accuracies(count: int, steps: int) -> tuple[Numbers, Numbers]:
    accuracy = np.linspace(0.02, 0.98, steps)
    share = accuracy ** (PRIOR_RIGHT - 1) * (1 - accuracy) ** (PRIOR_WRONG - 1)
    wrong = (1 - accuracy) / max(1, count - 1)
    table = np.where(np.eye(count, dtype=bool)[None], accuracy[:, None, None], wrong[:, None, None])
    return table, share / share.sum()


def _sided(sides: Numbers, count: int, common: int) -> Numbers:
    """Tables of reviewers who are right about the common label, and about the others, that often (S, K, K)."""
    table = np.zeros((len(sides), count, count))
    for truth, said in product(range(count), repeat=2):
        right = sides[:, 0 if truth == common else 1]
        if said == truth:
            table[:, truth, said] = right
        elif truth == common or count == 2:
            table[:, truth, said] = (1 - right) / (count - 1)
        else:
            table[:, truth, said] = (1 - right) * (MISSED if said == common else (1 - MISSED) / (count - 2))
    return table


def of_sides(accuracies: Numbers, *, mean: tuple[float, float], concentration: float) -> Numbers:
    """The share of each pair of accuracies (S, 2), drawn one by one from a Beta with its mean (S); adds up to 1."""
    right = np.clip(mean, 0.5, 0.97) * concentration
    width = np.gradient(np.array(SIDES))[np.searchsorted(SIDES, accuracies)]
    logs = ((right - 1) * np.log(accuracies) + (concentration - right - 1) * np.log(1 - accuracies) + np.log(width)).sum(axis=1)
    share = np.exp(logs - logs.max(initial=-np.inf))
    return np.asarray(share / share.sum())


def _measured(levels: int) -> tuple[Numbers, Numbers]:
    """(tables, shares): the truth plus a severity plus noise, rounded to the scale and kept inside it."""
    from scipy.special import ndtr

    step = max(1.0, (levels - 1) / 4)
    grid = np.array(list(product(SEVERITIES, SPREADS)))
    truth, said = np.arange(levels)[None, :, None], np.arange(levels)[None, None, :]
    centre, spread = truth + step * grid[:, 0, None, None], step * grid[:, 1, None, None]
    above = np.where(said == levels - 1, 1.0, ndtr((said + 0.5 - centre) / spread))
    below = np.where(said == 0, 0.0, ndtr((said - 0.5 - centre) / spread))
    share = np.exp(-0.5 * (grid[:, 0] / SEVERITY_SPREAD) ** 2
                   - 0.5 * (np.log(grid[:, 1] / TYPICAL_SPREAD) / SPREAD_FACTOR) ** 2)
    return above - below, share / share.sum()


def _constant(levels: int) -> Numbers:
    """One label in 95 of 100 ratings, whatever is shown."""
    table = np.full((levels, levels, levels), 0.05 / (levels - 1))
    for said in range(levels):
        table[said, :, said] = 0.95
    return table
