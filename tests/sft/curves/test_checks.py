"""Synthetic runs whose disease is known, and healthy ones in which nothing may be found."""

from __future__ import annotations

from random import Random

import pytest

from feedback.measures import Unscored
from sft.curves.checks import WatchedLosses, overfitting, repeats, thrown_about, too_few
from sft.curves.curve import History, history_of
from sft.curves.finding import Finding


def run(losses: list[float], norms: list[float] | None = None) -> History:
    rows = [{"step": step, "loss": loss, "epoch": step / 10} for step, loss in enumerate(losses, start=1)]
    for row, norm in zip(rows, norms or [], strict=False):
        row["grad_norm"] = norm
    return history_of(rows)


def falling(seed: int, *, noise: float = 0.1) -> list[float]:
    chance = Random(seed)
    return [0.69 - 0.3 * step / 40 + chance.gauss(0, noise) for step in range(40)]


@pytest.mark.parametrize("seed", range(50))
def test_a_loss_that_falls_with_noise_is_no_high_learning_rate(seed):
    norms = [2 + Random(seed).random() for _ in range(40)]
    assert thrown_about(run(falling(seed), norms), start=0.693) is None


@pytest.mark.parametrize(("losses", "norms"), [
    ([0.69, 0.9, 2.3, 1.1, 0.8, 0.7, 0.6, 0.5], None),
    ([0.69, 0.8, 0.85, 0.9, 0.95, 1.0, 1.1, 1.2], None),
    ([0.69, 0.95, 0.7, 0.6, 0.5, 0.5, 0.5, 0.5], [1.5, 31, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1]),
], ids=["a spike", "a rise", "a jump of the gradient"])
def test_a_loss_that_is_thrown_about_is_one(losses, norms):
    found = thrown_about(run(losses, norms), start=0.693)
    assert isinstance(found, Finding)
    assert "learning_rate" in found.advice[0]


LONG_ROW = [0.05, 0.1, 1.1, 0.1, 0.05]
"""A pass over the data in five batches: one row is long, and the batch that holds it has twenty times the loss."""


def by_passes(*passes: list[float]) -> History:
    losses = [loss for each in passes for loss in each]
    return history_of([{"step": step, "loss": loss, "epoch": step / 5} for step, loss in enumerate(losses, start=1)])


def test_batches_that_hold_other_rows_are_no_high_learning_rate():
    assert isinstance(thrown_about(by_passes(LONG_ROW)), Finding)
    assert thrown_about(by_passes(LONG_ROW, [0.9, 0.05, 0.1, 0.05, 0.1], [0.1, 0.1, 0.05, 0.05, 0.8])) is None


@pytest.mark.parametrize("last", [[0.3, 0.4, 1.1, 0.3, 0.4], [0.05, 0.05, 4.0, 0.05, 0.05]], ids=["a rise", "a spike"])
def test_a_later_pass_that_is_worse_than_the_first_is_one(last):
    assert isinstance(thrown_about(by_passes(LONG_ROW, LONG_ROW, last)), Finding)


def test_a_few_points_say_nothing_about_the_learning_rate():
    assert isinstance(thrown_about(run([0.7, 5.0])), Unscored)


def watched(*means: float, trained: float, families: int = 12, spread: float = 0.1) -> WatchedLosses:
    """Losses around these means; the same family keeps its luck."""
    luck = [spread * (2 * place / (families - 1) - 1) for place in range(families)]
    losses = tuple(tuple(mean * (1 + own) for own in luck) for mean in means)
    return WatchedLosses(tuple(range(0, 10 * len(means), 10)), losses, tuple(trained * (1 + own) for own in luck))


def test_a_loss_that_rises_on_rows_set_apart_alone_is_overfitting():
    found = overfitting(watched(0.69, 0.5, 0.6, 0.8, trained=0.1), why_not="")
    assert isinstance(found, Finding)
    assert "step 10 was best" in found.advice[0]


def test_a_loss_that_falls_on_both_is_none():
    assert overfitting(watched(0.69, 0.6, 0.5, trained=0.45), why_not="") is None


def test_a_rise_that_the_rows_trained_on_share_is_none():
    assert overfitting(watched(0.69, 0.6, 0.9, trained=0.9), why_not="") is None


@pytest.mark.parametrize("seed", range(50))
def test_luck_among_few_families_is_no_overfitting(seed):
    chance = Random(seed)
    losses = tuple(tuple(0.5 + chance.gauss(0, 0.3) for _ in range(10)) for _ in range(6))
    assert overfitting(WatchedLosses(tuple(range(6)), losses, tuple(0.5 + chance.gauss(0, 0.3) for _ in range(40))),
                       why_not="") is None


def test_without_rows_set_apart_the_reason_is_told():
    assert overfitting(None, why_not="too few families") == Unscored(reason="too few families")
    assert isinstance(overfitting(watched(0.6, 0.9, trained=0.1, families=3), why_not=""), Unscored)


def test_duplicates_are_counted_without_their_first():
    found = repeats([*range(20), *[0] * 5], what="pairs")
    assert isinstance(found, Finding)
    assert found.evidence.startswith("5 of 25 pairs repeat another one")
    assert repeats([*range(50), 0, 0, 0], what="pairs") is None
    assert isinstance(repeats([], what="pairs"), Unscored)


def test_too_few_rows_are_said_to_be_too_few():
    assert isinstance(too_few(39, fewest=40, what="pairs"), Finding)
    assert too_few(40, fewest=40, what="pairs") is None
