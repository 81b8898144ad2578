"""Answers that were rated apart: what decides between them, in which order, and how sure it is."""

from __future__ import annotations

import pytest

from feedback.rubric import Rubric
from feedback.schemas import Flag, RateAnswer, Span
from feedback.training_sets.rows import PreferencePair
from feedback.training_sets.write import build
from tests.feedback.reviewed import RUBRIC, Bench, rate
from tests.feedback.training_sets.stages import STAGE

SAFETY_FIRST = RUBRIC.model_copy(update={"priorities": ("safety", "accuracy", "tone")})
MARKED = rate("partially correct", flags=[Flag.HALLUCINATED]).model_copy(update={"spans": (Span(start=0, end=2),)})


def pairs(*rated: tuple[str, list[RateAnswer | str]], rubric: Rubric = RUBRIC) -> tuple[PreferencePair, ...]:
    """The pairs from answers to one question, each with its ratings."""
    bench = Bench(rubric)
    for text, by in rated:
        bench.rated("q", text, by=by)
    return build(bench.contents, STAGE, rewrites={}).pairs


def preferred(*rated: tuple[str, list[RateAnswer | str]], rubric: Rubric = RUBRIC) -> list[tuple[str, str, str]]:
    return sorted((pair.chosen, pair.rejected, pair.origin) for pair in pairs(*rated, rubric=rubric))


def test_the_safe_answer_beats_the_unsafe_one_whatever_the_tone() -> None:
    gruff = rate(criteria={"tone": 1})
    assert preferred(("gruff", [gruff]), ("charming", [rate(criteria={"safety": 1})])) == [("gruff", "charming", "verdict")]


def test_a_correct_answer_in_a_bad_tone_beats_an_incorrect_one() -> None:
    assert preferred(("gruff", [rate(criteria={"tone": 1})]), ("wrong", ["incorrect"])) == [("gruff", "wrong", "verdict")]


def test_safety_against_accuracy_is_undecided_until_the_rubric_says_which_comes_first() -> None:
    rated = (("unsafe", [rate(criteria={"safety": 1})]), ("wrong", ["incorrect"]))
    assert preferred(*rated) == []
    assert preferred(*rated, rubric=SAFETY_FIRST) == [("wrong", "unsafe", "verdict")]
    accuracy_first = RUBRIC.model_copy(update={"priorities": ("accuracy", "safety")})
    assert preferred(*rated, rubric=accuracy_first) == [("unsafe", "wrong", "verdict")]


def test_an_answer_without_a_falsehood_beats_one_with_a_marked_one() -> None:
    assert preferred(("vague", ["partially correct"]), ("false", [MARKED])) == [("vague", "false", "span")]
    assert preferred(("wrong", ["incorrect"]), ("false", [MARKED])) == []


def test_a_later_priority_decides_where_the_earlier_ones_do_not() -> None:
    kind, curt = rate("partially correct"), rate("partially correct", criteria={"tone": 3})
    assert preferred(("kind", [kind]), ("curt", [curt])) == []
    pair, = pairs(("kind", [kind]), ("curt", [curt]), rubric=SAFETY_FIRST)
    assert (pair.chosen, pair.origin, pair.criterion, pair.margin) == ("kind", "criteria", "tone", 2.0)


def test_an_earlier_priority_overrules_a_later_one() -> None:
    accurate = rate("partially correct", criteria={"tone": 1, "accuracy": 4})
    kind = rate("partially correct", criteria={"tone": 5, "accuracy": 3})
    assert preferred(("accurate", [accurate]), ("kind", [kind]), rubric=SAFETY_FIRST) == [("accurate", "kind", "criteria")]


def test_a_gap_that_may_be_chance_decides_nothing_and_more_raters_make_one_surer() -> None:
    def answers(tone: int, raters: int) -> list[RateAnswer | str]:
        return [rate("partially correct", criteria={"tone": tone})] * raters

    nearly = [rate("partially correct", criteria={"tone": tone}) for tone in (4, 5)]
    assert pairs(("a", answers(5, 2)), ("b", list(nearly)), rubric=SAFETY_FIRST) == ()
    single, = pairs(("a", answers(5, 1)), ("b", answers(4, 1)), rubric=SAFETY_FIRST)
    three, = pairs(("a", answers(5, 3)), ("b", answers(4, 3)), rubric=SAFETY_FIRST)
    # 1 / (0.7 sqrt(2)) = 1.01 standard deviations, and 1 / (0.7 sqrt(2/3)) = 1.75
    assert single.reversed_probability == pytest.approx(0.156, abs=1e-3)
    assert three.reversed_probability == pytest.approx(0.040, abs=1e-3)


def test_a_step_of_a_two_point_scale_is_the_whole_scale() -> None:
    criteria = tuple(c.model_copy(update={"scale": (0, 1)}) if c.name == "tone" else c for c in RUBRIC.criteria)
    rubric = RUBRIC.model_copy(update={"criteria": criteria, "priorities": ("tone",)})
    kind, curt = (rate("partially correct", criteria={"tone": tone}) for tone in (1, 0))
    pair, = pairs(("kind", [kind]), ("curt", [curt]), rubric=rubric)
    assert (pair.chosen, pair.margin) == ("kind", 4.0)


def test_every_answer_of_a_long_list_is_in_a_pair_and_the_list_stays_short() -> None:
    rated = [(f"good {n}", ["correct"]) for n in range(30)] + [(f"bad {n}", ["incorrect"]) for n in range(20)]
    found = pairs(*rated)  # type: ignore[arg-type]
    assert {pair.chosen for pair in found} | {pair.rejected for pair in found} == {text for text, _ in rated}
    assert len(found) == 30


@pytest.mark.parametrize(("scale", "good", "bad"), [
    ((1, 2, 3, 4, 5), 4, 3), ((0, 1), 1, 0), ((1, 2, 3), 3, 2), ((0, 5, 10), 10, 5)])
def test_thresholds_are_stretched_to_the_rubrics_own_scale(scale: tuple[int, ...], good: int, bad: int) -> None:
    # 4 of a scale from 1 to 5 is 3/4 of the way: 0.75 of 0 to 1, 2.5 of 1 to 3, 7.5 of 0 to 10.
    criteria = tuple(c.model_copy(update={"scale": scale}) for c in RUBRIC.criteria)
    fine, unsafe = (rate(criteria={"accuracy": scale[-1], "tone": scale[-1], "safety": value}) for value in (good, bad))
    bench = Bench(RUBRIC.model_copy(update={"criteria": criteria}))
    bench.rated("q", "fine", by=[fine])
    bench.rated("q", "unsafe", by=[unsafe])
    made = build(bench.contents, STAGE, rewrites={})
    assert [row.completion for row in made.sft] == ["fine"]
    assert sorted((row.completion, row.label) for row in made.kto) == [("fine", True), ("unsafe", False)]
    pair, = made.pairs
    assert (pair.chosen, pair.rejected, pair.criterion) == ("fine", "unsafe", "safety")
