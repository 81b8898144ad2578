"""crowd-kit's models and cleanlab's, each on a panel whose answer is plain."""

from __future__ import annotations

import numpy as np
import pytest

from feedback.aggregation.label_errors import cross_validated, crowd_labels, label_errors
from feedback.aggregation.methods import CROWD_METHODS, crowd
from feedback.aggregation.panel import Panel
from feedback.errors import InvalidInput


def a_panel(*, wrong: int = 3) -> tuple[Panel, np.ndarray]:
    """Three reviewers who are right and one, the last, who is always wrong, on 60 items of 3 labels."""
    truth = np.arange(60) % 3
    item, reviewer = np.repeat(np.arange(60), 4), np.tile(np.arange(4), 60)
    label = np.where(reviewer == wrong, (truth[item] + 1) % 3, truth[item])
    return Panel(item=item, reviewer=reviewer, label=label, items=60, reviewers=4, labels=3, ordered=False), truth


@pytest.mark.parametrize("method", CROWD_METHODS)
def test_each_model_finds_the_truth_and_who_is_wrong(method: str) -> None:
    panel, truth = a_panel()
    found = crowd(panel, method)  # type: ignore[arg-type]
    assert (found.truth.argmax(axis=1) == truth).all()
    assert (found.right / found.given).tolist() == pytest.approx([1, 1, 1, 0], abs=0.05)


def probabilities(truth: np.ndarray) -> np.ndarray:
    return np.where(np.arange(3) == truth[:, None], 0.9, 0.05)


def test_planted_label_errors_are_found() -> None:
    truth = np.arange(60) % 3
    labels = truth.copy()
    labels[[4, 17, 31]] = (labels[[4, 17, 31]] + 1) % 3
    assert sorted(label_errors(labels, probabilities(truth))) == [4, 17, 31]


def test_crowdlab_joins_reviewers_and_a_model() -> None:
    panel, truth = a_panel()
    found = crowd_labels(panel, probabilities(truth))
    assert (found.label == truth).all()
    assert found.reviewers[3] < found.reviewers[:3].min()


def test_probabilities_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidInput, match="for 60 items; hand in one row for each"):
        label_errors(np.zeros(60, dtype=int), np.full((3, 3), 1 / 3))
    with pytest.raises(InvalidInput, match="do not add up to 1"):
        label_errors(np.zeros(60, dtype=int), np.ones((60, 3)))


def test_a_classifier_judges_texts_that_it_has_not_seen_and_needs_a_few_of_each() -> None:
    texts, labels = ["yes good fine"] * 20 + ["no bad wrong"] * 20, np.repeat([0, 1], 20)
    found = cross_validated(texts, labels, labels_count=3)
    assert found is not None
    assert (found.argmax(axis=1) == labels).all()
    assert cross_validated(texts[:22], labels[:22], labels_count=3) is None
