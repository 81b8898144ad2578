"""Coverage by slice comes with counts and intervals, and says where it is thin or leans."""

from __future__ import annotations

import pytest

from feedback.curation.slices import Slice, slices
from feedback.intervals import wilson
from tests.feedback.reviewed import Bench

pytest.importorskip("py3langid", reason="py3langid comes with the `curation` extra")


def named(report, dimension: str, name: str) -> Slice:
    return next(each for each in report.slices if (each.dimension, each.name) == (dimension, name))


def bench(**verdicts: list[str]) -> Bench:
    """One question a topic, and an answer for each of these verdicts."""
    made = Bench()
    for topic, by in verdicts.items():
        prompt = made.prompt(f"about {topic}")
        made.prompts[prompt.text] = prompt.model_copy(update={"topic": topic})
        for verdict in by:
            made.rated(prompt.text, "yes", by=[verdict])
    return made


def test_a_slice_has_its_counts_and_the_share_with_its_interval() -> None:
    found = named(slices(bench(tax=["correct"] * 3 + ["incorrect", "cannot tell"]).contents), "topic", "tax")
    assert (found.prompts, found.ratings, found.small) == (1, 5, True)
    assert found.correct == wilson(3, 4)
    assert found.verdicts == {"cannot tell": 1, "correct": 3, "incorrect": 1}


def test_a_small_slice_and_a_single_class_are_warned_of() -> None:
    warnings = slices(bench(tax=["correct"] * 3).contents).warnings
    assert any("topic 'tax' has 3 ratings of 3 items" in each for each in warnings)
    assert any("nothing to tell apart" in each for each in warnings)


def test_a_slice_that_leans_is_pointed_out_and_chance_is_not() -> None:
    leaning = slices(bench(tax=["correct"] * 60, law=["incorrect"] * 60, pay=["correct", "incorrect"] * 30).contents)
    assert [each for each in leaning.warnings if each.startswith("topic 'law' is called correct")]
    even = slices(bench(tax=["correct", "incorrect"] * 30, law=["correct", "incorrect"] * 30).contents)
    assert not [each for each in even.warnings if "is called correct" in each]


def test_a_reviewer_is_called_by_name_and_a_program_by_what_it_is() -> None:
    made = bench(tax=["correct", "incorrect"])
    found = [each.name for each in slices(made.contents).slices if each.dimension == "reviewer"]
    assert found == sorted(f"{reviewer.name} (simulated)" for reviewer in made.contents.reviewers)


def test_a_slice_in_which_nobody_could_tell_has_no_share_of_correct_answers() -> None:
    report = slices(bench(tax=["cannot tell"] * 3, law=["correct"] * 3).contents)
    assert named(report, "topic", "tax").correct.kind == "unscored"
    assert not [each for each in report.warnings if "is called correct" in each]


def test_nothing_rated_has_no_figures() -> None:
    report = slices(Bench().contents)
    assert report.slices == ()
    assert report.majority.kind == "unscored"


def test_many_ratings_of_few_answers_are_few() -> None:
    made = Bench()
    for topic, verdict in (("tax", "correct"), ("law", "incorrect")):
        prompt = made.prompt(f"about {topic}", topic=topic)
        for number in range(5):
            # Four of five agree on each answer: 0.8 and 0.2 of 5 answers, not 20 and 5 of 25 ratings.
            made.rated(prompt.text, f"yes {number}", by=[verdict] * 4 + ["correct" if verdict == "incorrect" else "incorrect"])
    report = slices(made.contents)
    found = named(report, "topic", "tax")
    assert (found.items, found.ratings, found.small) == (5, 25, True)
    assert found.correct == wilson(4, 5)
    assert not [each for each in report.warnings if "is called correct" in each]


def test_a_topic_of_which_nothing_was_rated_is_told() -> None:
    made = bench(tax=["correct", "incorrect"])
    waiting = [Bench().prompt(f"{number}?", topic="law") for number in range(7)]
    report = slices(made.contents, [*made.contents.prompts, *waiting])
    assert "topic 'law' has no rating, and 7 of the project's questions" in report.warnings
    assert (named(report, "topic", "law").correct.kind, named(report, "topic", "law").unrated) == ("unscored", 7)
    assert named(report, "topic", "tax").unrated == 0
