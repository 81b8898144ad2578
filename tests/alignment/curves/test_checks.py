"""Synthetic preference runs whose disease is known, and healthy ones in which nothing may be found."""

from __future__ import annotations

import math
from random import Random

import pytest

from alignment.curves.checks import chosen_collapsing, length_exploitation, pairs_too_easy, said, wrong_reference
from alignment.curves.pairs import PairReadings, Reading, WatchedPair, judged_pairs, softplus
from feedback.measures import Unscored
from sft.curves.curve import History, history_of
from sft.curves.finding import Finding, Outcome
from tests.rows import pair

BETA = 0.1


def run(*, accuracy: float = 0.8, chosen: float = 0.0, rejected: float = -10.0, steps: int = 40, epochs: int = 2,
        seed: int = 0) -> History:
    """Curves that move evenly to these log-ratios, in nats, with the noise of small batches."""
    chance = Random(seed)
    rows = []
    for step in range(1, steps + 1):
        part = (step - 1) / (steps - 1)
        better, worse = BETA * chosen * part, BETA * rejected * part
        rows.append({"step": step, "epoch": epochs * step / steps, "loss": softplus(worse - better) + chance.gauss(0, 0.02),
                     "rewards/chosen": better, "rewards/rejected": worse, "rewards/margins": better - worse,
                     "rewards/accuracies": min(1.0, max(0.0, chance.gauss(accuracy, 0.05))), "logps/chosen": -60 + chosen * part})
    return history_of(rows)


def watched(count: int = 60, *, seed: int = 0, longer: float = 0.0, per_token: float = 0.0, margin: float = 3.0,
            start: float = 0.0) -> PairReadings:
    """Pairs whose chosen answer is `longer` tokens longer on average; each token of difference adds to the margin."""
    chance = Random(seed)
    pairs = tuple(WatchedPair(f"family-{n}", "ranking", None, None, max(1, round(chance.gauss(20 + longer, 6))), 20, False)
                  for n in range(count))
    first = Reading(0, (start,) * count, (start,) * count)
    last = Reading(40, tuple(margin + per_token * p.longer_by + chance.gauss(0, 2) for p in pairs), (0.0,) * count)
    return PairReadings((), pairs, (), (first, last), BETA)


@pytest.mark.parametrize("seed", range(30))
def test_a_healthy_run_has_none_of_the_diseases(seed):
    history, readings = run(seed=seed), watched(seed=seed, longer=3)
    assert pairs_too_easy(history, pairs=200) is None
    assert chosen_collapsing(history, beta=BETA) is None
    assert length_exploitation(readings) is None
    assert wrong_reference(history, readings, moved=False, start=math.log(2)) is None


def test_pairs_that_are_right_before_they_were_seen_are_too_easy():
    found = pairs_too_easy(run(accuracy=1.0), pairs=200)
    assert isinstance(found, Finding)
    assert "100 pairs that it had not been trained on" in found.evidence


def test_a_few_pairs_are_not_called_easy():
    assert isinstance(pairs_too_easy(run(accuracy=1.0), pairs=40), Unscored)


def test_preferred_answers_that_lose_a_third_of_their_log_probability_collapse():
    found = chosen_collapsing(run(chosen=-20, rejected=-40), beta=BETA)
    assert isinstance(found, Finding)
    assert "nats per answer" in found.evidence


def test_a_small_fall_and_a_fall_without_a_margin_are_no_collapse():
    assert chosen_collapsing(run(chosen=-4, rejected=-20), beta=BETA) is None
    assert chosen_collapsing(run(chosen=-20, rejected=-20), beta=BETA) is None


@pytest.mark.parametrize(("longer", "per_token", "word"), [(15, 0.5, "longer"), (-12, -0.5, "shorter")])
def test_a_margin_that_follows_from_length_is_found_in_either_direction(longer, per_token, word):
    found = length_exploitation(watched(longer=longer, per_token=per_token, margin=0.0))
    assert isinstance(found, Finding)
    assert found.title == f"It learned to prefer what is {word}"


def test_longer_answers_alone_are_no_disease_and_a_slope_alone_is_none():
    assert length_exploitation(watched(longer=15)) is None
    assert length_exploitation(watched(longer=0, per_token=0.5)) is None
    assert isinstance(length_exploitation(watched(10)), Unscored)


def test_a_policy_that_differs_from_its_own_reference_before_training_has_a_wrong_one():
    assert isinstance(wrong_reference(run(), watched(start=-3.0), moved=False, start=None), Finding)
    assert wrong_reference(run(), watched(start=-3.0), moved=True, start=None) is None
    assert isinstance(wrong_reference(run(), watched(start=-30.0), moved=True, start=None), Finding)


def test_without_readings_the_first_loss_must_be_that_of_a_policy_at_its_reference():
    def judged(step: int, loss: float, start: float | None) -> Outcome:
        nothing = PairReadings((), (), (), (), BETA)
        return wrong_reference(history_of([{"step": step, "loss": loss}]), nothing, moved=False, start=start)

    assert judged(1, math.log(2) + 0.001, math.log(2)) is None
    assert isinstance(judged(1, 0.9, math.log(2)), Finding)
    assert isinstance(judged(5, 0.9, math.log(2)), Unscored)
    assert isinstance(judged(1, 0.9, None), Unscored)


def test_pairs_are_compared_by_their_words():
    first, same, turned = judged_pairs([pair("Which  pen?", "A red one.", "none"), pair("which pen", "a RED one", "None!"),
                                        pair("which pen", "none", "a red one")])
    assert said(first) == said(same)
    assert said(first) != said(turned)
