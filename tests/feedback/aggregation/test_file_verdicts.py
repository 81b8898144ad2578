"""Verdicts from a plain ratings file: its format, its errors and both ways to conclude."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.aggregation.file_verdicts import aggregate_file
from feedback.aggregation.ratings_file import RatingsFile, read_gold_file, read_ratings_file
from feedback.errors import InvalidInput, NothingToDo


def written(tmp_path: Path, *lines: object) -> Path:
    """A file with these lines: texts as they are, everything else as JSON."""
    path = tmp_path / "ratings.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return path


def row(item: object, reviewer: object, value: object) -> dict[str, object]:
    return {"item": item, "reviewer": reviewer, "value": value}


def test_of_two_lines_for_one_item_and_reviewer_the_last_counts(tmp_path: Path) -> None:
    file = read_ratings_file(written(tmp_path, row("a", "x", "no"), row("a", "y", "yes"), row("a", "x", "yes")))
    assert file.values == {("a", "x"): "yes", ("a", "y"): "yes"}
    assert file.repeated == 1
    assert aggregate_file(file).repeated == 1


def test_every_malformed_line_is_named_and_nothing_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, row("a", "x", "yes"), row("a", "y", None), "not json", {"item": "a", "value": 1},
                   row("a", "x", True), '{"item": "a", "reviewer": "x", "value": NaN}',
                   {"item": "a", "reviewer": "x", "vote": 3}, "[]")
    with pytest.raises(InvalidInput) as caught:
        read_ratings_file(path)
    numbers = [problem.removeprefix(f"{path}:").split(":")[0] for problem in caught.value.problems]
    assert sorted(set(numbers)) == ["2", "3", "4", "5", "6", "7", "8"]
    assert f"{path}:2: value: found None; use a text (a label) or a number (on a scale)" in caught.value.problems


def test_texts_and_numbers_are_not_one_scale(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"a text on some lines \('yes'\) and a number on others \(3\)"):
        read_ratings_file(written(tmp_path, row("a", "x", "yes"), row("a", "y", 3)))


@pytest.mark.parametrize("number", ["1e308", "-1e400", "9" * 400])
def test_a_number_beyond_all_scales_is_refused(number: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="use a number on a scale"):
        read_ratings_file(written(tmp_path, row("a", "x", 1), f'{{"item": "a", "reviewer": "y", "value": {number}}}'))


def test_an_empty_file_is_nothing_to_do(tmp_path: Path) -> None:
    with pytest.raises(NothingToDo, match="no ratings in it"):
        read_ratings_file(written(tmp_path, "", ""))


def test_whole_numbers_between_the_lowest_and_the_highest_are_on_the_scale(tmp_path: Path) -> None:
    file = read_ratings_file(written(tmp_path, row("a", "x", 1), row("a", "y", 5.0), row("b", "x", 2)))
    assert file.scale == (1, 2, 3, 4, 5)
    assert file.ordered


def test_measurements_are_not_a_scale(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"30 different numbers between 0\.5 and 29\.5"):
        read_ratings_file(written(tmp_path, *(row("a", number, number + 0.5) for number in range(30))))


def test_a_split_is_undecided_and_a_majority_is_not(tmp_path: Path) -> None:
    file = read_ratings_file(written(tmp_path, row("a", "x", "yes"), row("a", "y", "no"), row("b", "x", "yes"),
                                     row("b", "y", "yes")))
    for method in ("reliability", "majority"):
        concluded = aggregate_file(file, method=method)  # type: ignore[arg-type]
        assert [verdict.outcome for verdict in concluded.verdicts] == [None, "yes"]
        assert [reviewer.n for reviewer in concluded.reviewers] == [2, 2]


def test_one_value_throughout_is_certain_rather_than_an_error(tmp_path: Path) -> None:
    file = read_ratings_file(written(tmp_path, row(1, 2, 4), row(1, 3, 4)))
    for method in ("reliability", "majority"):
        verdict, = aggregate_file(file, method=method).verdicts  # type: ignore[arg-type]
        assert (verdict.item, verdict.outcome, verdict.probability) == (1, 4, 1.0)


def test_by_majority_a_reviewer_is_measured_by_the_others() -> None:
    # x agrees with y and z on two of three items; on the fourth nobody else rated
    values = {("1", name): "a" for name in "xyz"} | {("2", name): "b" for name in "xyz"}
    values |= {("3", "x"): "a", ("3", "y"): "b", ("3", "z"): "b", ("4", "x"): "a"}
    file = RatingsFile(values=values, scale=("a", "b"), repeated=0)
    first = aggregate_file(file, method="majority").reviewers[0]
    assert (first.reviewer, first.n) == ("x", 4)
    assert first.accuracy == pytest.approx(2 / 3)


def test_a_known_answer_given_twice_differently_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, {"item": "a", "value": 1}, {"item": "a", "value": 2}, {"item": "b"})
    with pytest.raises(InvalidInput, match="item 'a' is 2 here and 1 above"):
        read_gold_file(path)


def test_a_known_value_outside_the_scale_is_refused() -> None:
    file = RatingsFile(values={("1", "x"): "a", ("1", "y"): "b"}, scale=("a", "b"), repeated=0)
    with pytest.raises(InvalidInput, match="'1': 'c'"):
        aggregate_file(file, known={"1": "c"})


def test_a_known_number_that_nobody_gave_is_on_the_scale() -> None:
    file = RatingsFile(values={("1", "x"): 3, ("1", "y"): 4}, scale=(3, 4), repeated=0)
    assert aggregate_file(file, known={"1": 5}).verdicts[0].outcome == 5


def test_each_verdict_names_who_contributed_and_the_plain_mean() -> None:
    file = RatingsFile(values={("1", "x"): 3, ("1", "y"): 4, ("2", "y"): 1}, scale=(1, 2, 3, 4), repeated=0)
    first, second = aggregate_file(file).verdicts
    assert (first.reviewers, first.mean) == (("x", "y"), 3.5)
    assert (second.reviewers, second.mean) == (("y",), 1.0)


@settings(max_examples=30)
@given(st.dictionaries(st.tuples(st.sampled_from("abcde"), st.sampled_from("xyz")), st.sampled_from(["yes", "no", "maybe"]),
                       min_size=1))
def test_the_order_of_lines_changes_not_one_digit(values: dict[tuple[str, str], str]) -> None:
    scale = tuple(sorted(set(values.values())))
    one = aggregate_file(RatingsFile(values=values, scale=scale, repeated=0))
    other = aggregate_file(RatingsFile(values=dict(reversed(values.items())), scale=scale, repeated=0))
    assert one == other
