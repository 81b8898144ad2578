"""How long answers take and reviews will: known times, pauses left out, no figure where nothing is known."""

from __future__ import annotations

from datetime import timedelta

import pytest

from feedback.desk.pace import median_seconds, pace, seconds_spent
from feedback.ids import ItemId
from feedback.measures import Measured, Unscored
from feedback.schemas import Rating, ReviewItem
from tests.people import START, a_completion, a_prompt, a_rate_item, a_rating, a_reviewer

ITEMS = [a_rate_item(a_completion(a_prompt(number)), round=1 + number // 10) for number in range(20)]


def rated(*minutes: float, name: str = "sim-anna", start: int = 0) -> list[Rating]:
    return [a_rating(ITEMS[start + place].id, a_reviewer(name), minutes=minute) for place, minute in enumerate(minutes)]


def by_id() -> dict[ItemId, ReviewItem]:
    return {item.id: item for item in ITEMS}


def test_the_seconds_of_an_answer_are_those_since_the_same_persons_last_one_and_pauses_have_none() -> None:
    ratings = [*rated(0, 1, 3, 63, 64), *rated(0.5, 2.5, name="sim-ben")]  # anna: 60, 120, a pause of an hour, 60; ben: 120
    assert sorted(seconds_spent(ratings).values()) == [60, 60, 120, 120]


def test_a_changed_answer_has_no_time_and_ends_the_gap() -> None:
    first, second = rated(0, 4)
    changed = a_rating(ITEMS[0].id, a_reviewer(), version=2, minutes=3)
    assert seconds_spent([first, changed, second]) == {second.id: 60}


def test_what_a_program_sent_at_once_has_no_time() -> None:
    assert seconds_spent(rated(0, 0, 0.001)) == {}


def test_a_median_lies_between_its_order_statistics() -> None:
    found = median_seconds([float(value) for value in range(1, 22)])
    # 21 values: the 6th and the 16th enclose the median with 97 % (binomial).
    assert isinstance(found, Measured)
    assert (found.value, found.low, found.high, found.n) == (11, 6, 16, 21)
    assert isinstance(median_seconds([1, 2, 3]), Unscored)


def test_the_rounds_have_their_medians_and_the_rest_is_told_in_days_and_hours() -> None:
    slow = rated(*(2 * place for place in range(10)))
    fast = rated(*(100 + place for place in range(10)), start=10)
    found = pace([*slow, *fast], by_id(), missing=40, now=START + timedelta(days=1))
    assert [(one.round, one.ratings, getattr(one.seconds, "value", None)) for one in found.rounds] == [(1, 10, 120), (2, 10, 60)]
    assert isinstance(found.days_left, Measured)
    assert isinstance(found.hours_of_work, Measured)
    assert found.days_left.value == 2  # 20 a day
    assert found.hours_of_work.value == pytest.approx(40 * 60 / 3600)  # a minute each


def test_without_recent_reviews_there_is_no_pace() -> None:
    found = pace(rated(0, 1), by_id(), missing=40, now=START + timedelta(days=9))
    assert str(found.reviews_per_day) == str(found.days_left) == "- (nobody reviewed anything in the last 3 days)"
    assert isinstance(found.hours_of_work, Unscored)


def test_thousands_are_written_as_people_write_them() -> None:
    assert str(Measured(value=2353.2, n=98, low=87.51, high=12_345, method="poisson")) == "2353 [87.5, 12345] (n=98)"
