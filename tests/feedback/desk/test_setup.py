"""Setting up: the plan is what is applied, and applying it twice changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from feedback.config import QueueConfig
from feedback.desk.setup import setup
from feedback.errors import InvalidInput
from feedback.rubric import Criterion
from tests.desk_in_memory import DeskInMemory
from tests.people import a_rubric


def test_the_plan_of_an_empty_server_names_the_workspace_and_every_dataset() -> None:
    desk = DeskInMemory()
    plan = setup(desk, a_rubric(), QueueConfig(), dry_run=True)
    assert [step.split("'")[1] for step in plan.steps] == ["redpen", "rank", "rate", "rate-2"]
    assert (desk.made, desk.held, plan.applied) == (False, {}, False)


def test_applying_does_what_the_plan_said_and_twice_is_once() -> None:
    desk = DeskInMemory()
    planned = setup(desk, a_rubric(), QueueConfig(), dry_run=True).steps
    assert setup(desk, a_rubric(), QueueConfig()).steps == planned
    assert setup(desk, a_rubric(), QueueConfig()).steps == ()
    assert set(desk.datasets()) == {"rank", "rate", "rate-2"}


def test_better_wording_is_brought_to_argilla() -> None:
    desk = DeskInMemory()
    setup(desk, a_rubric(), QueueConfig())
    reworded = a_rubric().model_copy(update={"guidelines": "Be kind."})
    assert len(setup(desk, reworded, QueueConfig()).steps) == 3
    assert {dataset.layout.guidelines for dataset in desk.datasets().values() if dataset.layout} == {"Be kind."}


def test_other_questions_are_refused_and_named_and_nothing_changes() -> None:
    desk = DeskInMemory()
    setup(desk, a_rubric(), QueueConfig())
    before = desk.datasets()
    longer = a_rubric().model_copy(update={"criteria": (*a_rubric().criteria, Criterion(name="depth", title="Depth"))})
    with pytest.raises(InvalidInput, match=r"the dataset 'rate' asks other questions than rubric.yaml \(different: depth\)"):
        setup(desk, longer, QueueConfig())
    assert desk.datasets() == before


def test_a_dataset_whose_creation_was_interrupted_is_made_again() -> None:
    desk = DeskInMemory()
    setup(desk, a_rubric(), QueueConfig())
    dataset, records = desk.held["rank"]
    desk.held["rank"] = (replace(dataset, ready=False, layout=None), records)
    assert [step.split(" ")[0] for step in setup(desk, a_rubric(), QueueConfig()).steps] == ["remove", "create"]
    assert desk.datasets()["rank"].ready
