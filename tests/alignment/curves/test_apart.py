"""Families set apart are a fixed share of many, and none of few."""

from __future__ import annotations

from alignment.curves.apart import MOST_FAMILIES, set_apart
from tests.rows import pair


def rows(families: int) -> list:
    return [pair(f"question {n} {way}", "yes", "no").model_copy(update={"family": f"family-{n}"})
            for n in range(families) for way in range(2)]


def test_a_family_is_watched_or_trained_on_as_a_whole():
    parted = set_apart(rows(300), share=0.1)
    trained, apart = ({row.family for row in part} for part in (parted.trained, parted.apart))
    assert not trained & apart
    assert len(trained | apart) == 300
    assert 15 <= len(apart) <= 50


def test_the_same_families_are_watched_when_others_come_along():
    few, many = (set_apart(rows(count), share=0.1) for count in (150, 300))
    assert {row.family for row in few.apart} <= {row.family for row in many.apart}


def test_few_families_all_train_and_the_reason_is_told():
    parted = set_apart(rows(99), share=0.1)
    assert parted.apart == ()
    assert len(parted.trained) == 198
    assert parted.why_none == "99 families are too few to set any apart; 100 are needed"
    assert "watched_share is 0" in set_apart(rows(200), share=0).why_none


def test_no_more_are_watched_than_tell_anything():
    assert len({row.family for row in set_apart(rows(2000), share=0.4).apart}) == MOST_FAMILIES
