"""Reviews go where they change a verdict: one where it is sharp, more where it is not, and never more than the limit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from feedback.aggregation.overlap import OverlapRule, another_review, needs
from feedback.aggregation.panel import Panel
from feedback.aggregation.reliability import weigh

RULE = OverlapRule(sure=0.9, fewest=1, most=3)


def test_an_item_without_a_review_comes_first_and_a_sharp_one_not_at_all() -> None:
    # three items: settled, split, not yet seen
    assert another_review(np.array([0.97, 0.5, 0.33]), [1, 2, 0], RULE) == [2, 1]


def test_the_least_certain_comes_first() -> None:
    assert another_review(np.array([0.8, 0.5, 0.7]), [1, 1, 1], RULE) == [1, 2, 0]


def test_at_the_limit_nobody_else_is_asked_and_the_reason_says_so() -> None:
    need, = needs(np.array([0.5]), [3], RULE)
    assert not need.wanted
    assert need.reason == "as many reviews as an item may have"


def test_every_item_gets_its_fewest_reviews_however_sure_the_first_is() -> None:
    need, = needs(np.array([0.99]), [1], OverlapRule(sure=0.9, fewest=2, most=3))
    assert need.wanted
    assert need.reason == "not reviewed often enough"


def test_a_rule_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValidationError, match="fewest is 4 and most is 3"):
        OverlapRule(fewest=4, most=3)


def test_one_word_of_a_proven_reviewer_is_enough_and_that_of_an_unknown_one_is_not() -> None:
    # reviewer 0 is right on 40 gold items; items 40 and 41 have one rating each, by 0 and by the unknown 1
    item, reviewer = np.append(np.arange(40), [40, 41]), np.append(np.zeros(40, dtype=int), [0, 1])
    panel = Panel(item=item, reviewer=reviewer, label=item % 2, items=42, reviewers=2, labels=2, ordered=False)
    truth = weigh(panel, known={at: at % 2 for at in range(40)}).truth
    assert another_review(truth.max(axis=1)[40:], [1, 1], RULE) == [1]


@given(st.lists(st.tuples(st.floats(0.2, 1), st.integers(0, 4)), max_size=8))
def test_more_certainty_and_more_reviews_never_ask_for_another(items: list[tuple[float, int]]) -> None:
    probability, counts = np.array([at for at, _ in items]), [count for _, count in items]
    wanted = set(another_review(probability, counts, RULE))
    surer = set(another_review(np.minimum(1.0, probability + 0.1), [count + (count > 0) for count in counts], RULE))
    assert surer <= wanted
