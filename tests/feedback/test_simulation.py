"""Simulated reviewers are as reliable as they say, and always say the same of the same answer."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from feedback.ids import CompletionId
from feedback.schemas import RankAnswer, RateAnswer, VerdictValue
from feedback.simulation import REVIEWERS, Judged, SimulatedReviewer, perceive, rank, rate
from tests.people import a_rubric

RIGHT = Judged(VerdictValue.CORRECT, better="It is `None`.")
WRONG = Judged(VerdictValue.INCORRECT, hallucinated=True, unsafe=True, false_spans=((6, 12),), better="It is `None`.")
RUDE = Judged(VerdictValue.CORRECT, rude=True)
SILENT = Judged(VerdictValue.INCORRECT, abstains=True)
PERFECT = SimulatedReviewer("sim-perfect", reliability=1.0, rewrites=0.0)


def rated(person: SimulatedReviewer, truth: Judged, number: int = 0) -> RateAnswer:
    return rate(person, truth, a_rubric(), shown=f"answer {number}", seed=0)


def test_every_simulated_reviewer_is_named_so() -> None:
    assert len(REVIEWERS) == 5
    assert all(person.name.startswith("sim-") for person in REVIEWERS)
    with pytest.raises(ValueError, match="must start with `sim-`"):
        SimulatedReviewer("ada", reliability=1.0)


@pytest.mark.parametrize("person", REVIEWERS, ids=lambda person: person.name)
def test_a_reviewer_is_right_as_often_as_its_reliability_says(person: SimulatedReviewer) -> None:
    right = sum(perceive(person, RIGHT, Random(number)) == RIGHT for number in range(4000)) / 4000
    # Three standard deviations of 4000 coin flips: 3 * sqrt(0.75 * 0.25 / 4000) = 0.0205.
    assert right == pytest.approx(person.reliability, abs=0.021)


def test_the_same_reviewer_says_the_same_of_the_same_answer() -> None:
    person = REVIEWERS[4]
    assert [rated(person, WRONG, n) for n in range(50)] == [rated(person, WRONG, n) for n in range(50)]
    assert len({rated(person, WRONG, n).model_dump_json() for n in range(50)}) > 1


def test_another_seed_is_another_opinion() -> None:
    first, second = ([rate(REVIEWERS[4], WRONG, a_rubric(), shown=f"answer {n}", seed=seed).verdict for n in range(100)]
                     for seed in (0, 1))
    assert first != second


def test_a_perfect_reviewer_reports_what_is_there() -> None:
    answer = rated(PERFECT, WRONG)
    assert answer.verdict is VerdictValue.INCORRECT
    assert answer.hallucinated
    assert [(span.start, span.end) for span in answer.spans] == [(6, 12)]
    assert rated(PERFECT, SILENT).abstains
    assert not rated(PERFECT, SILENT).hallucinated


def test_tone_and_safety_are_rated_apart_from_accuracy() -> None:
    means = {name: Counter[str]() for name in ("right", "wrong", "rude")}
    for number in range(200):
        for name, truth in (("right", RIGHT), ("wrong", WRONG), ("rude", RUDE)):
            means[name].update(rated(PERFECT, truth, number).criteria)
    assert means["rude"]["tone"] < means["right"]["tone"] - 400
    assert means["wrong"]["safety"] < means["right"]["safety"] - 400
    assert means["wrong"]["accuracy"] < means["right"]["accuracy"] - 400
    assert means["rude"]["safety"] == pytest.approx(means["right"]["safety"], abs=50)


def test_a_strict_reviewer_rates_lower_and_stays_on_the_scale() -> None:
    strict, lenient = (SimulatedReviewer("sim-x", reliability=1.0, severity=severity) for severity in (-1.0, 1.0))
    low, high = ([rated(person, SILENT, n).criteria["accuracy"] for n in range(200)] for person in (strict, lenient))
    assert sum(low) < sum(high) - 200
    assert set(low) | set(high) <= {1, 2, 3, 4, 5}


def test_rewrites_are_rare_and_say_what_an_expert_would() -> None:
    writer = SimulatedReviewer("sim-writer", reliability=1.0, rewrites=0.1)
    written = [answer.rewrite for n in range(1000) if (answer := rated(writer, WRONG, n)).rewrite]
    assert 60 < len(written) < 140
    assert set(written) == {"It is `None`."}
    assert all(rated(writer, RIGHT, n).rewrite is None for n in range(100))


def test_answers_of_equal_merit_are_tied() -> None:
    truths = [(CompletionId(name), truth) for name, truth in (("a", WRONG), ("b", RIGHT), ("c", RIGHT), ("d", SILENT))]
    assert rank(PERFECT, truths, shown="page", seed=0) == RankAnswer(tiers=(("b", "c"), ("d",), ("a",)))


def test_the_place_on_the_page_does_not_matter() -> None:
    truths = [(CompletionId(str(n)), truth) for n, truth in enumerate((WRONG, RIGHT, RUDE, SILENT, RIGHT))]
    for person in REVIEWERS:
        assert rank(person, truths, shown="page", seed=0) == rank(person, truths[::-1], shown="page", seed=0)
