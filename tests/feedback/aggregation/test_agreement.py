"""Krippendorff's alpha against his published example and by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.aggregation.agreement import agreement, agreement_by, krippendorff_alpha
from feedback.measures import Measured, Unscored
from tests.feedback.reviewed import Bench, rate

PUBLISHED = {"A": "123321412***", "B": "1233224125*3", "C": "*3332342251*", "D": "12332441251*"}
"""Krippendorff (2011), section C: four observers, twelve units, `*` missing."""


def published() -> dict[str, dict[str, float]]:
    units: dict[str, dict[str, float]] = {f"u{number:02}": {} for number in range(12)}
    for observer, row in PUBLISHED.items():
        for number, value in enumerate(row):
            if value != "*":
                units[f"u{number:02}"][observer] = int(value)
    return units


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_the_published_example_comes_out(level: str, alpha: float) -> None:
    figure = krippendorff_alpha(published(), level)  # type: ignore[arg-type]
    assert isinstance(figure, Measured)
    assert figure.value == pytest.approx(alpha, abs=0.0005)
    assert figure.n == 11  # the twelfth unit has one value
    assert figure.low < figure.value <= figure.high


def test_two_reviewers_on_three_items_by_hand() -> None:
    # Pairs aa, bb, ab: observed disagreement 2 of 6 ordered pairs = 1/3. Values a 3, b 3 of n = 6: expected
    # (6^2 - 3^2 - 3^2) / (6 * 5) = 18/30 = 0.6. alpha = 1 - (1/3) / 0.6 = 4/9.
    figure = krippendorff_alpha({"1": {"x": "a", "y": "a"}, "2": {"x": "b", "y": "b"}, "3": {"x": "a", "y": "b"}}, "nominal")
    assert isinstance(figure, Measured)
    assert figure.value == pytest.approx(4 / 9)


def test_reviewers_who_always_disagree_fall_below_zero() -> None:
    # Observed 1; expected (4^2 - 2^2 - 2^2) / (4 * 3) = 2/3; alpha = 1 - 1.5
    figure = krippendorff_alpha({"1": {"x": "a", "y": "b"}, "2": {"x": "b", "y": "a"}}, "nominal")
    assert isinstance(figure, Measured)
    assert figure.value == pytest.approx(-0.5)


def test_one_value_everywhere_is_unscored_and_says_why() -> None:
    figure = krippendorff_alpha({"1": {"x": 5, "y": 5}, "2": {"x": 5, "y": 5}}, "ordinal")
    assert isinstance(figure, Unscored)
    assert "all ratings of 2 items are 5" in figure.reason


@pytest.mark.parametrize("ratings", [{}, {"1": {"x": 1.0}}, {"1": {"x": 1.0, "y": 2.0}, "2": {"x": 1.0}}])
def test_too_few_items_with_two_ratings_are_unscored(ratings: dict[str, dict[str, float]]) -> None:
    figure = krippendorff_alpha(ratings, "interval")
    assert isinstance(figure, Unscored)
    assert "two or more ratings" in figure.reason


panels = st.dictionaries(st.text("abcdef", min_size=1), st.dictionaries(st.sampled_from("xyz"), st.integers(1, 5), min_size=1),
                         min_size=2, max_size=6)


@given(panels, st.sampled_from(["nominal", "ordinal", "interval"]))
def test_alpha_ignores_who_said_what_and_a_shift_of_the_scale(panel: dict[str, dict[str, int]], level: str) -> None:
    turned = {item: {f"{name}!": value + 10 for name, value in reversed(by.items())} for item, by in reversed(panel.items())}
    one, other = (krippendorff_alpha(rows, level, resamples=20) for rows in (panel, turned))  # type: ignore[arg-type]
    assert type(one) is type(other)
    if isinstance(one, Measured) and isinstance(other, Measured):
        assert other.value == pytest.approx(one.value)
        assert one.value <= 1 + 1e-12


def test_the_same_seed_gives_the_same_interval() -> None:
    assert krippendorff_alpha(published(), "ordinal", seed=3) == krippendorff_alpha(published(), "ordinal", seed=3)
    assert krippendorff_alpha(published(), "ordinal", seed=3) != krippendorff_alpha(published(), "ordinal", seed=4)


def test_every_question_of_the_form_gets_its_figure() -> None:
    bench = Bench()
    for number, verdict in enumerate(("correct", "incorrect")):
        bench.rated(f"q{number}", "a", by=[verdict, verdict, "cannot tell"])
    figures = agreement(bench.contents)
    assert list(figures) == ["verdict", "hallucinated", "abstains", "accuracy", "tone", "safety"]
    assert isinstance(figures["verdict"], Measured)
    assert figures["verdict"].value == 1
    assert isinstance(figures["accuracy"], Unscored)


def test_a_criterion_that_reviewers_see_differently_shows_in_its_own_figure() -> None:
    bench = Bench()
    for number, (one, other) in enumerate(((1, 5), (5, 1), (2, 4), (4, 2))):
        bench.rated(f"q{number}", "a", by=[rate(criteria={"tone": one}), rate(criteria={"tone": other})])
    tone = agreement(bench.contents)["tone"]
    assert isinstance(tone, Measured)
    assert tone.value < 0


def test_each_round_and_week_has_its_own_figures() -> None:
    bench = Bench()
    for number, other in enumerate(("correct", "incorrect", "incorrect", "correct")):
        bench.rated(f"q{number}", "a", by=["correct" if number % 2 == 0 else "incorrect", other])
    bench.items[2:] = [item.model_copy(update={"round": 2}) for item in bench.items[2:]]
    rounds = agreement_by(bench.contents, "round")
    assert list(rounds) == ["round 0001", "round 0002"]
    first, second = (rounds[name]["verdict"] for name in rounds)
    assert isinstance(first, Measured)
    assert isinstance(second, Measured)
    assert (first.value, second.value) == (pytest.approx(1), pytest.approx(-0.5))
    assert list(agreement_by(bench.contents, "week")) == ["2026-W01"]
    assert list(agreement_by(bench.contents, "topic")) == ["no topic"]


def test_a_number_outside_the_scale_is_no_rating() -> None:
    bench = Bench()
    for number in range(3):
        bench.rated(f"q{number}", "a", by=[rate(criteria={"tone": 9}), rate(criteria={"tone": 5})])
    assert agreement(bench.contents)["tone"] == Unscored(
        reason="0 of 3 items have two or more ratings; agreement needs two such items")


def test_a_slice_without_two_ratings_of_one_answer_says_so_and_an_empty_one_is_not_there() -> None:
    bench = Bench()
    for question in ("a", "b"):
        bench.rated(question, "yes", by=["correct", "incorrect"])
    bench.rated("c", "yes", by=["correct"])
    bench.items[2:] = [item.model_copy(update={"round": 3}) for item in bench.items[2:]]
    found = agreement_by(bench.contents, "round")
    assert set(found) == {"round 0001", "round 0003"}
    assert isinstance(found["round 0003"]["verdict"], Unscored)
    assert "0 of 1 items have two or more ratings" in found["round 0003"]["verdict"].reason
