"""What a trainer logged becomes curves."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sft.curves.curve import EMPTY, Curve, history_of

LOGGED = [{"step": 2, "epoch": 0.5, "loss": 0.7, "rewards/margins": 0.1}, {"step": 2, "reading": {"apart/chosen": [1.0]}},
          {"step": 4, "epoch": 1.0, "loss": 0.6}, {"step": 6, "epoch": 1.5, "loss": 0.5}, {"step": 6, "train_runtime": 3.0}]


def test_every_logged_figure_is_a_curve_and_the_summary_is_none():
    history = history_of(LOGGED)
    assert history.get("loss") == Curve(steps=(2, 4, 6), values=(0.7, 0.6, 0.5))
    assert set(history.curves) == {"loss", "rewards/margins"}
    assert history.steps == 6
    assert history.get("never logged") is EMPTY


def test_values_can_be_asked_for_by_part_of_the_run_and_by_passes_over_the_data():
    history = history_of(LOGGED)
    assert history.get("loss").part(0, 0.7) == (0.7, 0.6)
    assert history.get("loss").part(0.9, 0.95) == (0.5,), "the nearest where none lies there"
    assert history.in_epochs("loss", 0.5, 1.0) == (0.6,)
    assert EMPTY.part(0, 1) == ()


def test_a_curve_has_a_value_for_each_step():
    with pytest.raises(ValidationError, match="2 steps and 1 values"):
        Curve(steps=(1, 2), values=(0.5,))
