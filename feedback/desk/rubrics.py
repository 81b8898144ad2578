"""Which rubric reviewers work under now, and which a dataset asks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from feedback.desk.desk import Dataset
from feedback.desk.layout import asked, kind_named, layouts
from feedback.rubric import Rubric
from feedback.store.rubrics import KIND, check_goes_on, versions
from feedback.store.store import Store


def remember(store: Store, rubric: Rubric, *, at: datetime | None = None) -> int:
    """Note that reviewers work under this rubric now, and return its version, from 1.

    Raises InvalidInput when it does not go on from the newest rubric that there are ratings under; nothing is noted then.
    """
    told = versions(store)
    if told and told[-1].hash == rubric.hash:
        return len(told)
    check_goes_on(store, rubric)
    store.append_event(KIND, {"hash": rubric.hash, "rubric": rubric.model_dump(mode="json")}, actor="redpen review",
                       reason="reviewers work under this rubric from now on", at=at or datetime.now(UTC))
    return len(told) + 1


def rubric_of(dataset: Dataset, rubrics: Sequence[Rubric]) -> Rubric:
    """The rubric whose questions the dataset asks: of those that do the newest, else the last one."""
    if dataset.layout is None:
        return rubrics[-1]
    kind = kind_named(dataset.name)
    page = asked(dataset.layout)
    return next((one for one in reversed(rubrics) if asked(layouts(one, [kind])[0]) == page), rubrics[-1])
