"""Ratings that a model finds hard to believe: cleanlab's confident learning, and CROWDLAB for several reviewers.

The probabilities are handed in: the reward model's, or those of a classifier that was cross-validated, never those of a model
trained on the very labels (Northcutt, Jiang and Chuang 2021; Goh, Tkachenko and Mueller 2022). Legend: I items, K labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedback.aggregation.manners import Numbers
from feedback.aggregation.panel import Panel
from feedback.errors import InvalidInput, MissingPart

FOLDS = 5


@dataclass(frozen=True)
class Crowd:
    """CROWDLAB's consensus of reviewers and a model."""

    label: NDArray[np.intp]
    """The best label of each item (I)."""
    quality: Numbers
    """How sure it is of that (I), 0 to 1."""
    reviewers: Numbers
    """How far each reviewer is to be believed (R), 0 to 1; nan for those who rated nothing."""


def label_errors(labels: NDArray[np.intp], probabilities: Numbers) -> list[int]:
    """Items whose label (I) is probably wrong by the model's probabilities (I, K), the least believable first.

    Raises InvalidInput when the sizes do not fit, and MissingPart without cleanlab.
    """
    _check(len(labels), probabilities)
    filters = _cleanlab("filter")
    found = filters.find_label_issues(labels=labels, pred_probs=probabilities, return_indices_ranked_by="self_confidence",
                                      filter_by="prune_by_noise_rate", n_jobs=1)
    return [int(item) for item in found]


def crowd_labels(panel: Panel, probabilities: Numbers) -> Crowd:
    """The consensus of a panel's reviewers and a model's probabilities (I, K)."""
    import pandas as pd

    _check(panel.items, probabilities)
    table = np.full((panel.items, panel.reviewers), np.nan)
    table[panel.item, panel.reviewer] = panel.label
    rated = ~np.isnan(table).all(axis=0)
    found = _cleanlab("multiannotator").get_label_quality_multiannotator(
        pd.DataFrame(table[:, rated]), probabilities, verbose=False, return_detailed_quality=False)
    quality = np.full(panel.reviewers, np.nan)
    stats = found["annotator_stats"]["annotator_quality"]
    quality[np.flatnonzero(rated)[stats.index.to_numpy(dtype=int)]] = stats.to_numpy()
    consensus = found["label_quality"]
    return Crowd(label=consensus["consensus_label"].to_numpy(dtype=np.intp),
                 quality=consensus["consensus_quality_score"].to_numpy(), reviewers=quality)


def cross_validated(texts: Sequence[str], labels: NDArray[np.intp], *, labels_count: int, seed: int = 0) -> Numbers | None:
    """Probabilities (I, K) from a bag-of-words classifier that has not seen the item it judges; None with too few of a label.

    For projects without a reward model. It knows words, not facts: its doubts are hints.
    """
    counts = np.bincount(labels, minlength=labels_count)
    present = np.flatnonzero(counts)
    if len(present) < 2 or counts[present].min() < FOLDS:
        return None
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold, cross_val_predict
        from sklearn.pipeline import make_pipeline
    except ModuleNotFoundError:
        raise _missing() from None
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=2), LogisticRegression(max_iter=1000))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    found = np.zeros((len(texts), labels_count))
    found[:, present] = cross_val_predict(model, list(texts), labels, cv=folds, method="predict_proba")
    return found


def by_reviewer(panel: Panel, doubtful: Mapping[int, int]) -> dict[int, int]:
    """Reviewer -> ratings that say the doubtful label of their item. `doubtful`: item -> label that is probably wrong."""
    counts: dict[int, int] = {}
    for item, reviewer, label in zip(panel.item.tolist(), panel.reviewer.tolist(), panel.label.tolist(), strict=True):
        if doubtful.get(item) == label:
            counts[reviewer] = counts.get(reviewer, 0) + 1
    return counts


def _check(items: int, probabilities: Numbers) -> None:
    if probabilities.ndim != 2 or len(probabilities) != items:
        raise InvalidInput(f"model probabilities of shape {probabilities.shape} for {items} items; hand in one row for each item")
    if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
        raise InvalidInput("model probabilities do not add up to 1 in every row; hand in a probability for each label")


def _cleanlab(part: str) -> Any:
    import importlib

    try:
        return importlib.import_module(f"cleanlab.{part}")
    except ModuleNotFoundError:
        raise _missing() from None


def _missing() -> MissingPart:
    return MissingPart("cleanlab is not installed; install it with pip install 'redpen-rlhf[weigh]'")
