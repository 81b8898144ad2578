"""Reviewers whose ratings say nothing about what is rated: at random, against it, or one label whatever is shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feedback.aggregation.manners import Numbers
from feedback.aggregation.panel import FEWEST, Panel, far_more_often
from feedback.aggregation.reliability import Weighed

LITTLE = 0.2
"""What somebody says on a scale, or by ranking, has a bearing on the truth from here on: 1 is always right, 0 as often as a
guess."""
LITTLE_OF_TWO, LITTLE_OF_MORE = 0.175, 0.3
"""The same for labels: right in 59 of 100 of two labels, in 53 of three. Who guesses between two is hard to tell from who is a
little better than that, so with more one in twenty honest reviewers would be proposed."""
SURE = 0.75
"""Probability of having no more than that from which quarantine is proposed: a person decides, and may lift it."""
THROUGHOUT = 0.9
"""Share of one label from which it is looked at as a habit."""


def without_bearing(weighed: Weighed) -> Numbers:
    """Probability that what a reviewer says has little bearing on the truth, or goes against it (R)."""
    manners = weighed.manners
    of_labels = LITTLE_OF_TWO if manners.table.shape[1] == 2 else LITTLE_OF_MORE
    return weighed.chance(manners.bearing <= (LITTLE if manners.ordered else of_labels))


def habits(panel: Panel, weighed: Weighed) -> NDArray[np.bool_]:
    """Who gives one label far more often than the items that they were shown explain (R)."""
    times, expected = (np.zeros((panel.reviewers, panel.labels)) for _ in range(2))
    np.add.at(times, (panel.reviewer, panel.label), 1.0)
    np.add.at(expected, panel.reviewer, weighed.truth[panel.item])
    return far_more_often(times, expected, least=THROUGHOUT)


def suspects(panel: Panel, weighed: Weighed) -> NDArray[np.bool_]:
    """Who is proposed for quarantine by the ratings of one question alone (R)."""
    given = np.bincount(panel.reviewer, minlength=panel.reviewers)
    return np.asarray(habits(panel, weighed) | (without_bearing(weighed) >= SURE) & (given >= FEWEST))
