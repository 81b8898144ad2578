"""Verdicts that weigh each reviewer by how they rate, learned from the ratings themselves.

The model of Dawid and Skene (1979) with the reviewers' confusion tables confined to known manners (`manners.py`): a
reviewer has one manner, an item one truth, and all truths are as likely beforehand. Both are estimated in turn by mean-field
variational inference: truths from the ratings given the manners, manners from the ratings given the truths, and how
common each manner is from the reviewers.

With one rating an item there is next to nothing to learn, and the verdict is that rating.
Legend: I items, R reviewers, G manners, K labels, N ratings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feedback.aggregation.manners import Manners, Numbers, of_labels, of_scale

PULL = 20.0
"""Imagined reviewers who rate as assumed beforehand. With many more real ones, how alike reviewers are is learned as well."""
SCALE_LEARNING = 0.6
"""What a rating on a scale counts for when manners are learned. Below 1 because the truths it is compared with are
estimated from it: with equal reviewers and few ratings, 1 finds differences that are not there (1.3 points below the mean)."""
MOST_ROUNDS = 100
SETTLED = 1e-6
"""Change of any truth's probability in a round below which estimation ends."""


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


@dataclass(frozen=True)
class Weighed:
    """What the ratings say about the items, and about those who gave them."""

    truth: Numbers
    """Probability of each label by item (I, K)."""
    accuracy: Numbers
    """How often each reviewer is right when all labels are as common (R)."""
    low: Numbers
    high: Numbers
    """Central 95 % of the posterior of that (R)."""


def weigh(panel: Panel, *, known: Mapping[int, int] | None = None) -> Weighed:
    """Truths and accuracies of a panel. `known`: item -> label that is certain (gold items)."""
    on_scale = panel.ordered and panel.labels > 2
    manners = of_scale(panel.labels) if on_scale else of_labels(panel.labels)
    says = np.log(manners.table)
    share = manners.share
    truth = _fixed(_votes(panel), known)
    posterior = np.tile(share, (panel.reviewers, 1))
    for _ in range(MOST_ROUNDS):
        counts = _confusions(panel, truth) * (SCALE_LEARNING if on_scale else 1.0)
        posterior = _normal(np.log(share) + np.tensordot(counts, says, axes=([1, 2], [1, 2])))
        share = (posterior.sum(axis=0) + PULL * manners.share) / (panel.reviewers + PULL)
        expected = np.tensordot(posterior, says, axes=(1, 0))
        before, truth = truth, _fixed(_truths(panel, expected), known)
        if np.abs(truth - before).max(initial=0.0) < SETTLED:
            break
    return _weighed(truth, posterior, manners)


def _votes(panel: Panel) -> Numbers:
    """A first guess: labels by their votes; on a scale also by their distance from the mean."""
    counts = np.zeros((panel.items, panel.labels))
    np.add.at(counts, (panel.item, panel.label), 1.0)
    if not (panel.ordered and panel.labels > 2):
        odds = (panel.labels - 1) * 4.0
        return _normal(counts * np.log(max(odds, 1.0)))
    mean = counts @ np.arange(panel.labels) / np.maximum(counts.sum(axis=1), 1)
    return _normal(counts - 0.5 * ((np.arange(panel.labels) - mean[:, None]) / 0.8) ** 2)


def _confusions(panel: Panel, truth: Numbers) -> Numbers:
    """Expected number of times that each reviewer said k where the truth is z (R, K, K)."""
    counts = np.zeros((panel.reviewers, panel.labels, panel.labels))
    np.add.at(counts.transpose(0, 2, 1), (panel.reviewer, panel.label), truth[panel.item])
    return counts


def _truths(panel: Panel, expected: Numbers) -> Numbers:
    """Probability of each label (I, K) from the expected log-probabilities of what reviewers say (R, K, K)."""
    evidence = np.zeros((panel.items, panel.labels))
    np.add.at(evidence, panel.item, expected[panel.reviewer, :, panel.label])
    return _normal(evidence)


def _fixed(truth: Numbers, known: Mapping[int, int] | None) -> Numbers:
    for item, label in (known or {}).items():
        truth[item] = np.eye(truth.shape[1])[label]
    return truth


def _normal(logs: Numbers) -> Numbers:
    """Rows of logarithms as probabilities."""
    shifted = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def _weighed(truth: Numbers, posterior: Numbers, manners: Manners) -> Weighed:
    order = np.argsort(manners.accuracy, kind="stable")
    rising, up_to = manners.accuracy[order], np.cumsum(posterior[:, order], axis=1)
    low, high = (rising[np.minimum((up_to < at).sum(axis=1), len(rising) - 1)] for at in (0.025, 0.975))
    return Weighed(truth=truth, accuracy=posterior @ manners.accuracy, low=low, high=high)
