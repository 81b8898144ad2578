"""Which datasets a rubric and its queues need, and what stands in them."""

from __future__ import annotations

import pytest

from feedback.config import QueueConfig
from feedback.desk.layout import Kind, kind_of, kinds_for, layouts
from feedback.errors import InvalidInput
from feedback.rubric import Criterion, Rubric
from feedback.schemas import Purpose, Queue
from tests.people import a_completion, a_prompt, a_rank_item, a_rate_item, a_rubric


def test_the_default_queues_need_three_datasets() -> None:
    assert [kind.name for kind in kinds_for(QueueConfig())] == ["rank", "rate", "rate-2"]


def test_a_project_without_rankings_has_no_rank_dataset() -> None:
    assert [kind.name for kind in kinds_for(QueueConfig(rank_items=0, audit_reviews=1))] == ["rate"]


def test_a_form_that_judges_no_answers_needs_one_dataset_for_the_texts() -> None:
    assert [kind.name for kind in kinds_for(QueueConfig(reviews=2), judged=False)] == ["rate-2"]
    assert [kind.name for kind in kinds_for(QueueConfig(reviews=2), judged=False, routed=True)] == ["rate"]


def test_another_number_of_answers_or_reviews_is_another_dataset() -> None:
    prompt = a_prompt()
    three = a_rank_item([a_completion(prompt, index) for index in range(3)], reviews=2)
    assert kind_of(three).name == "rank-of-3-2"
    assert Kind(Queue.RANK, 4, 1).name == "rank"


def test_what_an_item_is_for_does_not_decide_its_dataset() -> None:
    completion = a_completion(a_prompt())
    assert kind_of(a_rate_item(completion, purpose=Purpose.AUDIT)) == kind_of(a_rate_item(completion, purpose=Purpose.TRAIN))


def test_a_rank_page_asks_for_the_ranking_first() -> None:
    (layout,) = layouts(a_rubric(), [Kind(Queue.RANK, 3, 1)])
    assert [field.name for field in layout.fields] == ["prompt", "reference", "answer_1", "answer_2", "answer_3"]
    assert [question.name for question in layout.questions] == ["ranking", "rewrite", "comment"]
    assert [value for value, _ in layout.questions[0].options] == ["answer_1", "answer_2", "answer_3"]


def test_a_rate_page_asks_for_every_criterion_of_the_rubric() -> None:
    (layout,) = layouts(a_rubric(), [Kind(Queue.RATE, 1, 2)])
    names = [question.name for question in layout.questions]
    assert set(names) == {"verdict", "flags", "spans", "accuracy", "helpfulness", "tone", "safety", "rewrite", "comment"}
    assert {question.name for question in layout.questions if question.required} == {
        "verdict", "accuracy", "helpfulness", "tone", "safety"}
    assert layout.reviews == 2


def test_questions_that_the_rubric_leaves_out_are_not_asked() -> None:
    rubric = Rubric(criteria=(Criterion(name="accuracy", title="Accuracy"),), spans=(), rewrite=False, comment=False)
    (layout,) = layouts(rubric, [Kind(Queue.RATE, 1, 1)])
    assert [question.name for question in layout.questions] == ["verdict", "flags", "accuracy"]


def test_everything_that_argilla_cannot_show_is_told_at_once() -> None:
    rubric = Rubric(criteria=(Criterion(name="verdict", title="V"), Criterion(name="depth", title="D", scale=(0, 100))),
                    spans=("wrong", "wrong"), guidelines="x" * 10_001)
    with pytest.raises(InvalidInput, match="takes whole numbers from 0 to 10") as refusal:
        layouts(rubric, [Kind(Queue.RATE, 1, 1)])
    assert len(refusal.value.problems) == 4
