"""A preference run ends once its preferred answers have become much less likely, and no other does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from alignment.falling import WINDOW, fall_of, is_too_far, stopper
from feedback.lineage import read_manifest
from tests.alignment.curves.provoked import demonstrated, preferences, trained

BETA = 0.1


def logged(*ratios: float, reference: float = -10.0) -> list[dict[str, float]]:
    """Points whose preferred answers have these log-ratios to the reference, in nats."""
    return [{"step": step, "rewards/chosen": BETA * ratio, "logps/chosen": reference + ratio}
            for step, ratio in enumerate(ratios, start=1)]


def test_the_fall_is_the_mean_of_the_last_points_in_nats_and_as_a_share_of_the_reference():
    # -1, -2, -3, -4, -5: mean 3 nats of the 10 that the reference gives; the first point is no longer looked at.
    fall = fall_of([*logged(-50, -1, -2, -3, -4, -5), {"step": 6, "reading": 1}], beta=BETA)
    assert fall is not None
    assert (fall.nats, fall.share) == pytest.approx((3.0, 0.3))
    assert str(fall) == "3.0 nats per answer, 30% of the log-probability that the reference gives them"


def test_a_rise_is_no_fall_and_a_few_points_say_nothing():
    risen = fall_of(logged(*[4.0] * WINDOW), beta=BETA)
    assert risen is not None
    assert not is_too_far(risen, most=0.1)
    assert fall_of(logged(*[-9.0] * (WINDOW - 1)), beta=BETA) is None


@pytest.mark.parametrize(("ratio", "reference", "ends"), [(-3, -10, True), (-1.5, -10, False), (-0.9, -2, False)],
                         ids=["far", "a smaller share", "less than a nat"])
def test_the_run_ends_when_both_share_and_nats_are_passed(ratio: float, reference: float, ends: bool, capsys):
    state = SimpleNamespace(log_history=logged(*[ratio] * WINDOW, reference=reference), global_step=WINDOW, max_steps=50)
    control = SimpleNamespace(should_training_stop=False)
    stopper(beta=BETA, most=0.2).on_log(None, state, control)
    assert control.should_training_stop is ends
    assert ("stopped at step 5 of 50: the preferred answers fell by 3.0 nats" in capsys.readouterr().err) is ends


def test_a_bold_run_is_stopped_on_its_way_and_one_without_the_limit_is_not(base: Path, tmp_path: Path):
    rows = preferences(40)
    parent = demonstrated(tmp_path, base, rows)
    bold = {"parent": parent, "beta": 0.05, "learning_rate": 1e-2, "num_train_epochs": 4, "logging_steps": 1}
    steps = {most: read_manifest(trained(tmp_path / str(most), base, rows, max_fall=most, **bold)).counts["steps"]
             for most in (0.2, None)}
    assert WINDOW <= steps[0.2] < steps[None] == 4 * 40 // 8
