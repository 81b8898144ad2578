"""Habits are told from what is common."""

from __future__ import annotations

import numpy as np
import pytest

from feedback.aggregation.panel import Panel, far_more_often
from feedback.aggregation.reliability import weigh


def test_one_label_throughout_is_a_habit_only_where_it_is_far_more_than_expected() -> None:
    times = np.array([[1_000.0, 0.0]] * 3)
    expected = np.array([[990.0, 10.0], [905.0, 95.0], [700.0, 300.0]])
    # A tenth more than 0.99 or 0.905 is everything; 0.8 is not, and 1000 of 1000 is beyond chance there.
    assert far_more_often(times, expected, least=0.8).tolist() == [False, False, True]


@pytest.mark.parametrize("items", [50, 200, 2_000])
@pytest.mark.parametrize("rare", [0.0, 0.01])
def test_a_label_that_hardly_anything_deserves_is_no_reason_to_believe_nobody(items: int, rare: float) -> None:
    # Three reviewers agree on everything. What 99 of 100 items deserve was a habit of all three, and nothing was concluded.
    truth = np.arange(items) < rare * items
    panel = Panel(item=np.repeat(np.arange(items), 3), reviewer=np.tile(np.arange(3), items),
                  label=np.repeat(truth, 3).astype(int), items=items, reviewers=3, labels=2, ordered=False)
    found = weigh(panel)
    assert found.truth[~truth, 0].min() > 0.99
    assert found.truth[truth, 1].min(initial=1.0) > 0.9
