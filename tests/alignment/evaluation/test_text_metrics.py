import sys

import pytest

from alignment.evaluation.text_metrics import rouge_l
from feedback.measures import Measured, Unscored


def test_rouge_l_is_the_f_measure_of_the_longest_common_subsequence() -> None:
    # "the default is none" against "default is none now": 3 of 4 words in order on both sides, F1 = 3/4; and 1
    found = rouge_l([("the default is none", "default is none now"), ("same", "same")])
    assert isinstance(found, Measured)
    assert found.value == pytest.approx((0.75 + 1) / 2)
    assert found.n == 2


def test_without_references_there_is_no_likeness() -> None:
    assert isinstance(rouge_l([]), Unscored)


def test_without_the_package_the_figure_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rouge_score.rouge_scorer", None)
    found = rouge_l([("a", "a")])
    assert isinstance(found, Unscored)
    assert "pip install" in found.reason
