"""Nobody's rows weigh more than their share of all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.aggregation.caps import capped_weights
from feedback.errors import InvalidInput
from feedback.ids import ReviewerId

A, B, C = ReviewerId("a"), ReviewerId("b"), ReviewerId("c")


def test_who_gave_most_rows_is_brought_down_to_the_share() -> None:
    # 8 rows of a, 2 of b, 2 of c; at half of all, a may hold what b and c hold together: 8 f = 4, f = 1/2
    assert capped_weights([[A]] * 8 + [[B]] * 2 + [[C]] * 2, most=0.5) == pytest.approx([0.5] * 8 + [1.0] * 4)


def test_rows_within_the_share_keep_their_weight() -> None:
    assert capped_weights([[A], [B], [A, B], []], most=0.6) == [1.0, 1.0, 1.0, 1.0]


def test_one_reviewer_alone_cannot_be_capped() -> None:
    assert capped_weights([[A], [A]], most=0.3) == [1.0, 1.0]


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="greatest share is 0"):
        capped_weights([[A]], most=0)


@settings(max_examples=50)
@given(st.lists(st.sets(st.sampled_from([A, B, C]), min_size=1), min_size=1, max_size=30), st.floats(0.34, 1))
def test_no_part_exceeds_the_share_and_no_weight_exceeds_one(rows: list[set[ReviewerId]], most: float) -> None:
    weights = capped_weights([sorted(row) for row in rows], most=most)
    assert all(0 < weight <= 1 + 1e-9 for weight in weights)
    alone = [row for row in rows if len(row) == 1]
    if len(alone) == len(rows):
        part = {name: sum(w for row, w in zip(rows, weights, strict=True) if name in row) for name in (A, B, C)}
        limit = max(most, 1 / sum(value > 0 for value in part.values()))
        assert max(part.values()) <= (limit + 0.01) * sum(weights)
