"""Other ways to weigh the reviewers of labels, from crowd-kit: Dawid-Skene, its one-coin form, and MACE.

Ours (`reliability.py`) is the default; `tests/benchmarks/panels.py --methods` compares them. These know no scale, no gold and
no interval.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from feedback.aggregation.manners import Numbers
from feedback.aggregation.panel import Panel
from feedback.errors import MissingPart

CrowdMethod = Literal["dawid-skene", "one-coin", "mace"]
CROWD_METHODS: tuple[CrowdMethod, ...] = ("dawid-skene", "one-coin", "mace")


@dataclass(frozen=True)
class Crowd:
    """What one of these models concludes."""

    truth: Numbers
    """Probability of each label by item (I, K)."""
    right: Numbers
    """Expected number of right ratings by reviewer (R)."""
    given: Numbers
    """Ratings by reviewer (R)."""


def crowd(panel: Panel, method: CrowdMethod) -> Crowd:
    """Truths by a model of crowd-kit. Raises MissingPart without it."""
    import pandas as pd

    ratings = pd.DataFrame({"task": panel.item, "worker": panel.reviewer, "label": panel.label})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # crowd-kit 1.4 calls pandas 3 by names that pandas 4 will drop
        found = _model(method).fit(ratings).probas_
    truth = found.reindex(index=range(panel.items), columns=range(panel.labels), fill_value=0.0).fillna(0.0).to_numpy(dtype=float)
    given, right = (np.zeros(panel.reviewers) for _ in range(2))
    np.add.at(given, panel.reviewer, 1.0)
    np.add.at(right, panel.reviewer, truth[panel.item, panel.label])
    return Crowd(truth=truth, right=right, given=given)


def _model(method: CrowdMethod) -> Any:
    try:
        from crowdkit.aggregation import MACE, DawidSkene, OneCoinDawidSkene
    except ModuleNotFoundError:
        raise MissingPart("crowd-kit is not installed; install it with pip install 'redpen-rlhf[weigh]', or use --method "
                          "reliability") from None
    match method:
        case "dawid-skene":
            return DawidSkene(n_iter=100)
        case "one-coin":
            return OneCoinDawidSkene(n_iter=100)
        case "mace":
            # Two starts instead of ten: the better one counts, and each takes seconds.
            return MACE(n_restarts=2, random_state=0)
