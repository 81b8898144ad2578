"""Reviewers whose ratings say nothing about what is rated: at random, against it, or one label whatever is shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feedback.aggregation.manners import Numbers
from feedback.aggregation.reliability import Panel, Weighed

LITTLE = 0.2
"""What somebody says has a bearing on the truth from here on: 1 is always right, 0 as often as a guess."""
SURE = 0.75
"""Probability of having no more than that from which quarantine is proposed: a person decides, and may lift it."""
FEWEST = 10
"""Ratings below which nobody is proposed."""
THROUGHOUT = 0.9
"""Share of one label from which it is looked at as a habit."""
BY_CHANCE = 0.001
"""Probability of so many, had the reviewer answered to what was shown, from which it is one."""


def without_bearing(weighed: Weighed) -> Numbers:
    """Probability that what a reviewer says has little bearing on the truth, or goes against it (R)."""
    return weighed.chance(weighed.manners.bearing <= LITTLE)


def habits(panel: Panel, weighed: Weighed) -> NDArray[np.bool_]:
    """Who gives one label far more often than the items that they were shown explain (R)."""
    from scipy.stats import binom

    given = np.bincount(panel.reviewer, minlength=panel.reviewers)
    times, expected = (np.zeros((panel.reviewers, panel.labels)) for _ in range(2))
    np.add.at(times, (panel.reviewer, panel.label), 1.0)
    np.add.at(expected, panel.reviewer, weighed.truth[panel.item])
    most = times.argmax(axis=1)
    row = np.arange(panel.reviewers)
    # A tenth more than expected, since truths are estimates.
    chance = np.minimum(0.95, expected[row, most] / np.maximum(given, 1) + 0.1)
    unlikely = binom.sf(times[row, most] - 1, given, chance) < BY_CHANCE
    return np.asarray((given >= FEWEST) & (times[row, most] >= THROUGHOUT * given) & unlikely)


def suspects(panel: Panel, weighed: Weighed) -> NDArray[np.bool_]:
    """Who is proposed for quarantine by the ratings of one question alone (R)."""
    given = np.bincount(panel.reviewer, minlength=panel.reviewers)
    return np.asarray(habits(panel, weighed) | (without_bearing(weighed) >= SURE) & (given >= FEWEST))
