"""How common each accuracy is among the reviewers of a panel, learned from the panel itself.

Accuracies are Beta distributed around a mean with a concentration, neither of which is known: equal reviewers and very
different ones both occur. Each pair of the two is as probable as the evidence about all reviewers makes it (an empirical Bayes
estimate, Robbins 1956, averaged instead of maximised); a few reviewers may be anything. Where the evidence shows no
difference between reviewers, they come to count alike, as in a majority. Legend: R reviewers, G manners, F families.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from feedback.aggregation.manners import Manners, Numbers, of_labels

MEANS = (0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
USUAL_MEAN, MEANS_APART = 0.75, 0.12
"""Mean and standard deviation of those means beforehand."""
CONCENTRATIONS = {8.0: 0.2, 16.0: 0.25, 40.0: 0.25, 200.0: 0.3}
"""Of the Beta distribution -> how probable beforehand. At 8 accuracies of 0.75 are spread by 0.14, at 200 by 0.03. With more
weight on the low ones, nearly equal reviewers came out up to two points below their own majority."""
ANYTHING = 0.04
"""Share of reviewers who may have any accuracy: the dishonest, and those who understood the opposite."""


def learned(manners: Manners, evidence: Numbers) -> Numbers:
    """The share of each manner of unordered labels (G).

    `evidence`: log-probability of each reviewer's ratings by manner (R, G).
    """
    families, log_prior = _families(manners.table.shape[1])
    likely = np.exp(evidence - evidence.max(axis=1, keepdims=True)) @ families.T
    known = np.log(np.maximum(likely, 1e-300)).sum(axis=0) + log_prior
    weight = np.exp(known - known.max())
    return np.asarray(weight / weight.sum() @ families)


@lru_cache(maxsize=32)
def _families(labels: int) -> tuple[Numbers, Numbers]:
    """The share of each manner by family (F, G), and the log-probability of each family beforehand (F)."""
    manners = of_labels(labels)
    free = ~manners.habit
    right = manners.accuracy[free]
    usual = manners.share[free] / manners.share[free].sum()
    anything = (usual + 1 / len(right)) / 2
    rows, prior = [], []
    for mean in MEANS:
        for concentration, common in CONCENTRATIONS.items():
            row = manners.share.copy()
            row[free] = row[free].sum() * ((1 - ANYTHING) * _beta(right, mean, concentration) + ANYTHING * anything)
            rows.append(row)
            prior.append(np.log(common) - 0.5 * ((mean - USUAL_MEAN) / MEANS_APART) ** 2)
    return np.array(rows), np.array(prior)


def _beta(right: Numbers, mean: float, concentration: float) -> Numbers:
    logs = (mean * concentration - 1) * np.log(right) + ((1 - mean) * concentration - 1) * np.log(1 - right)
    share = np.exp(logs - logs.max())
    return np.asarray(share / share.sum())
