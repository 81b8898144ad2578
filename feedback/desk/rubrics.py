"""The rubric's versions: each one that reviewers worked under is kept in the store, and goes on from the one before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from feedback.desk.desk import Dataset
from feedback.desk.layout import asked, kind_named, layouts
from feedback.errors import InvalidInput
from feedback.rubric import Rubric, incompatible
from feedback.store.store import Store

KIND = "rubric"
"""Event that holds a rubric, whole."""

RULE = ("Wording may change, optional questions may be added, and a required one may become optional; anything else would make "
        "what people said before and after answers to different questions. Go back to the old rubric; to ask something else, "
        "keep the old question with `required: false` and add the new one under another name with `required: false`")


def remember(store: Store, rubric: Rubric, *, at: datetime | None = None) -> int:
    """Note that reviewers work under this rubric now, and return its version, from 1.

    Raises InvalidInput when it does not go on from the newest rubric that there are ratings under; nothing is noted then.
    """
    told = versions(store)
    if told and told[-1].hash == rubric.hash:
        return len(told)
    used = {rating.rubric for rating in store.ratings()}
    before = next((one for one in reversed(told) if one.hash in used), None)
    if before is not None and (problems := list(incompatible(before, rubric))):
        told_why = (f"rubric.yaml: {problem}, and there are ratings under the rubric before" for problem in problems)
        raise InvalidInput([*told_why, RULE])
    store.append_event(KIND, {"hash": rubric.hash, "rubric": rubric.model_dump(mode="json")}, actor="redpen review",
                       reason="reviewers work under this rubric from now on", at=at or datetime.now(UTC))
    return len(told) + 1


def versions(store: Store) -> list[Rubric]:
    """Every rubric that reviewers worked under, oldest first. Ratings name theirs by its hash."""
    return [Rubric.model_validate(event.payload["rubric"]) for event in store.events(KIND)]


def rubric_of(dataset: Dataset, rubrics: Sequence[Rubric]) -> Rubric:
    """The rubric whose questions the dataset asks: of those that do the newest, else the last one."""
    if dataset.layout is None:
        return rubrics[-1]
    kind = kind_named(dataset.name)
    page = asked(dataset.layout)
    return next((one for one in reversed(rubrics) if asked(layouts(one, [kind])[0]) == page), rubrics[-1])
