"""How common each manner is among the reviewers of a panel, learned from the panel itself.

Accuracies are Beta distributed around a mean with a concentration, neither of which is known: equal reviewers and very
different ones both occur. Each pair of the two is as probable as the evidence about all reviewers makes it (an empirical Bayes
estimate, Robbins 1956, averaged instead of maximised); a few reviewers may be anything. So it is on a scale with how far the
severities lie apart and how alike the spreads are, and on labels with whether people have an accuracy of their own for the
common one. Where the evidence shows no difference between reviewers, they come to count alike, as in a majority or a plain mean.
Legend: R reviewers, G manners, F families.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product

import numpy as np

from feedback.aggregation.manners import LAPSES, SEVERITIES, SIDED, SPREADS, Manners, Numbers, of_labels, of_sides

MEANS = (0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
USUAL_MEAN, MEANS_APART = 0.75, 0.12
"""Mean and standard deviation of those means beforehand."""
CONCENTRATIONS = {8.0: 0.2, 16.0: 0.25, 40.0: 0.25, 200.0: 0.3}
"""Of the Beta distribution -> how probable beforehand. At 8 accuracies of 0.75 are spread by 0.14, at 200 by 0.03. With more
weight on the low ones, nearly equal reviewers came out up to two points below their own majority."""
ANYTHING = 0.04
"""Share of reviewers who may have any accuracy: the dishonest, and those who understood the opposite."""
SIDED_LITTLE, SIDED_MUCH = 0.02, 0.9
"""Share of the others who have an accuracy of their own for the common label, where few and where most do."""
MANY = 8
"""Reviewers from which it is asked whether some of two labels know the one better and some the other."""
SHIFTS = (-0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15)
"""By how much all together know the common label better than the others."""

MEAN_SEVERITIES = tuple(0.3 * step for step in range(-3, 4))
"""Of all reviewers of a panel, in steps of a five-point scale. It is found, and then taken to be 0: that all are lenient cannot
be told from good answers."""
SEVERITIES_APART = {0.05: 0.5, 0.25: 0.2, 0.5: 0.2, 0.8: 0.1}
"""Standard deviation of severities around that, in the same steps -> how probable beforehand. People are mostly taken to be
alike, here and below: where they differ it shows, and equal reviewers came out a tenth of a point lower with even chances."""
TYPICAL_SPREADS, USUAL_SPREAD = (0.35, 0.5, 0.7, 0.95, 1.3), 0.7
"""Median of the spreads in the same steps, and the most probable one beforehand (give or take a factor of e ** SPREADS_APART)."""
SPREADS_APART = 0.5
SPREADS_ALIKE = {0.08: 0.6, 0.25: 0.2, 0.5: 0.2}
"""Standard deviation of the spreads' logarithm -> how probable beforehand."""
PULL = 3.0
"""Imagined reviewers of a scale who lapse, guess and so on as often as assumed beforehand. There are many manners to tell apart:
with more imagined ones, equal reviewers came out a point below the plain mean."""


def learned(manners: Manners, posterior: Numbers, evidence: Numbers, *, lean: bool) -> Numbers:
    """The share of each manner (G).

    `posterior` (R, G): of each reviewer's manner. `evidence` (R, G): log-probability of each reviewer's ratings by manner.
    `lean`: on labels, all together may know the common one better (or worse) than the others.
    """
    return on_scale(manners, posterior, evidence) if manners.ordered else of_accuracies(manners, evidence, lean=lean)


def on_scale(manners: Manners, posterior: Numbers, evidence: Numbers) -> Numbers:
    """The share of each manner on a scale (G): of the kinds as they are found, of severities and spreads by family."""
    # Strict and lenient stay equally common.
    counted = (posterior + posterior[:, manners.mirror]).sum(axis=0) / 2
    share = (counted + PULL * manners.share) / (len(posterior) + PULL)
    measures, centred, log_prior = _measures()
    likely = _weights(_with_measures(share, measures), log_prior, evidence)
    return np.asarray(likely @ _with_measures(share, centred))


def _with_measures(share: Numbers, measures: Numbers) -> Numbers:
    """The shares of all manners by family (F, G); `measures` (F, severities x spreads): the shares among those who measure."""
    lapses, size = len(LAPSES), measures.shape[1]
    lapsing = share[:lapses * size].reshape(lapses, size).sum(axis=1)
    families = np.tile(share, (len(measures), 1))
    families[:, :lapses * size] = (lapsing[None, :, None] * measures[:, None, :]).reshape(len(measures), -1)
    return families


def of_accuracies(manners: Manners, evidence: Numbers, *, lean: bool) -> Numbers:
    """The share of each manner of unordered labels (G).

    Unless they lean, by how much all know the common label better is found and then taken to be 0.
    """
    labels = manners.table.shape[1]
    families, centred, log_prior = _families(labels, labels > 1 and (lean or (labels == 2 and len(evidence) >= MANY)))
    return np.asarray(_weights(families, log_prior, evidence) @ (families if lean else centred))


def _weights(families: Numbers, log_prior: Numbers, evidence: Numbers) -> Numbers:
    """How probable the evidence about all reviewers makes each family (F); `families` (F, G)."""
    likely = np.exp(evidence - evidence.max(axis=1, keepdims=True)) @ families.T
    known = np.log(np.maximum(likely, 1e-300)).sum(axis=0) + log_prior
    weight = np.exp(known - known.max())
    return np.asarray(weight / weight.sum())


@lru_cache(maxsize=1)
def _measures() -> tuple[Numbers, Numbers, Numbers]:
    """The shares of (severity, spread) by family, the same without its mean severity (F, their number), and its log-prior (F)."""
    rows, centred, prior = [], [], []
    for mean, apart, alike, typical in product(MEAN_SEVERITIES, SEVERITIES_APART, SPREADS_ALIKE, TYPICAL_SPREADS):
        rows.append(_of_measures(mean, apart, alike, typical))
        centred.append(_of_measures(0.0, apart, alike, typical))
        prior.append(np.log(SEVERITIES_APART[apart] * SPREADS_ALIKE[alike])
                     - 0.5 * (np.log(typical / USUAL_SPREAD) / SPREADS_APART) ** 2)
    return np.array(rows), np.array(centred), np.array(prior)


def _of_measures(mean: float, apart: float, alike: float, typical: float) -> Numbers:
    severity, spread = np.array(list(product(SEVERITIES, SPREADS))).T
    logs = -0.5 * ((severity - mean) / apart) ** 2 - 0.5 * (np.log(spread / typical) / alike) ** 2
    share = np.exp(logs - logs.max())
    return np.asarray(share / share.sum())


@lru_cache(maxsize=32)
def _families(labels: int, sided: bool) -> tuple[Numbers, Numbers, Numbers]:
    """The share of each manner by family, the same without what all know better (F, G), and the families' log-prior (F).

    `sided`: most may have an accuracy of their own for the common label.
    """
    manners = of_labels(labels)
    free = ~(manners.habit | manners.sided)
    right, usual = manners.accuracy[free], manners.share[free] / manners.share[free].sum()
    anything, honest = ANYTHING * (usual + 1 / len(right)) / 2, 1 - manners.share[manners.habit].sum() - ANYTHING
    rows: list[Numbers] = []
    centred: list[Numbers] = []
    prior: list[float] = []
    for mean, concentration in product(MEANS, CONCENTRATIONS):
        row = manners.share.copy()
        log_prior = np.log(CONCENTRATIONS[concentration]) - 0.5 * ((mean - USUAL_MEAN) / MEANS_APART) ** 2
        for much, shift, common in _sides(sided):
            much *= labels > 1
            row[free] = (1 - much) * honest * _beta(right, mean, concentration) + anything
            for to, better in ((rows, shift), (centred, 0.0)):
                row[manners.sided] = much * honest * of_sides(manners.sides, mean=(mean + better, mean - better),
                                                              concentration=concentration)
                to.append(row.copy())
            prior.append(log_prior + np.log(common))
    return np.array(rows), np.array(centred), np.array(prior)


def _sides(sided: bool) -> Iterator[tuple[float, float, float]]:
    """(share of the honest with two accuracies, by how much the common label is the better known one, how probable)."""
    yield SIDED_LITTLE, 0.0, 1 - SIDED * sided
    if sided:
        for shift in SHIFTS:
            yield SIDED_MUCH, shift, SIDED / len(SHIFTS)


def _beta(right: Numbers, mean: float, concentration: float) -> Numbers:
    logs = (mean * concentration - 1) * np.log(right) + ((1 - mean) * concentration - 1) * np.log(1 - right)
    share = np.exp(logs - logs.max())
    return np.asarray(share / share.sum())
