"""The review form: its priorities name criteria, and change nothing about what was asked."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from pydantic import ValidationError

from feedback.rubric import Criterion, Rubric, read_rubric

CRITERIA = tuple(Criterion(name=name, title=name) for name in ("accuracy", "tone", "safety"))


@pytest.mark.parametrize(("priorities", "said"), [
    (("safety", "style"), r"priorities names \['style'\], which are no criteria"),
    (("safety", "safety"), "name each criterion once")])
def test_priorities_are_different_criteria(priorities: tuple[str, ...], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Rubric(criteria=CRITERIA, priorities=priorities)


def test_priorities_can_change_while_the_ratings_keep_their_rubric() -> None:
    assert Rubric(criteria=CRITERIA, priorities=("safety", "accuracy")).hash == Rubric(criteria=CRITERIA).hash


@pytest.mark.parametrize("path", sorted((Path(str(files("configs"))) / "rubric").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_ready_form_but_that_for_labels_judges_answers(path: Path) -> None:
    assert read_rubric(path).judges == (path.stem != "labels")
