"""The workspace and its datasets: first the plan, then the same plan applied. Applying it twice changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from feedback.config import QueueConfig, Strict
from feedback.desk.desk import Dataset, Desk
from feedback.desk.layout import RANKING, Asked, Kind, Layout, asked, is_review_dataset, kinds_for, layouts, version_of
from feedback.desk.routing import Router
from feedback.errors import InvalidInput
from feedback.rubric import Rubric
from feedback.store.rubrics import RULE


class Plan(Strict):
    """What setting up changes; empty when all is as it should be."""

    steps: tuple[str, ...]
    applied: bool


@dataclass(frozen=True)
class Step:
    """One change."""

    text: str
    apply: Callable[[], object]


def setup(desk: Desk, rubric: Rubric, queues: QueueConfig, *, router: Router | None = None, dry_run: bool = False) -> Plan:
    """Make the workspace and the datasets that the queues need, or only say what would be made.

    Raises InvalidInput when a dataset asks other questions than the rubric: Argilla cannot change them.
    """
    steps = plan_datasets(desk, rubric, kinds_for(queues, routed=router is not None, judged=rubric.judges))
    if not dry_run:
        for step in steps:
            step.apply()
    return Plan(steps=tuple(step.text for step in steps), applied=not dry_run)


def plan_datasets(desk: Desk, rubric: Rubric, kinds: Iterable[Kind]) -> list[Step]:
    """The steps that are missing for datasets of these kinds."""
    wanted = layouts(rubric, kinds)
    if not desk.has_workspace():
        steps = [Step(f"create the workspace {desk.workspace!r}", desk.create_workspace)]
        return steps + [_create(desk, layout) for layout in wanted]
    present = desk.datasets()
    problems = [problem for layout in wanted for problem in _conflicts(desk, place_for(present, layout), layout)]
    if problems:
        raise InvalidInput(problems)
    return [step for layout in wanted for step in _steps(desk, present, layout)]


def versions(present: Mapping[str, Dataset], name: str) -> list[Dataset]:
    """The datasets of one kind, oldest first: a rubric that gained an optional question goes on in one of its own."""
    return sorted((one for one in present.values() if is_review_dataset(one.name) and version_of(one.name)[0] == name),
                  key=lambda one: version_of(one.name)[1])


def place_for(present: Mapping[str, Dataset], layout: Layout) -> Dataset | None:
    """The dataset that new records of a kind go to: the newest that asks what the layout asks, else the newest of all; None
    when there is none yet."""
    found = versions(present, layout.name)
    fitting = [one for one in found if one.layout and asked(one.layout) == asked(layout)]
    return next(reversed(fitting or found), None)


def _create(desk: Desk, layout: Layout) -> Step:
    reviews = f"{layout.reviews} review{'s' if layout.reviews > 1 else ''}"
    return Step(f"create the dataset {layout.name!r} ({reviews} of each record)", lambda: desk.create_dataset(layout))


def _steps(desk: Desk, present: Mapping[str, Dataset], layout: Layout) -> list[Step]:
    found = place_for(present, layout)
    if found is None:
        return [_create(desk, layout)]
    if not found.ready:
        remove = Step(f"remove the dataset {found.name!r}, whose creation was interrupted", lambda: desk.delete_dataset(found))
        return [remove, _create(desk, replace(layout, name=found.name))]
    if found.layout is None or asked(found.layout) != asked(layout):
        number = version_of(versions(present, layout.name)[-1].name)[1] + 1
        return [_create(desk, replace(layout, name=f"{layout.name}-v{number}"))]
    layout = replace(layout, name=found.name)
    if not _same(found.layout, layout):
        text = f"bring guidelines, titles and descriptions of the dataset {layout.name!r} up to rubric.yaml"
        return [Step(text, lambda: desk.update_dataset(found, layout))]
    return []


def _conflicts(desk: Desk, found: Dataset | None, layout: Layout) -> list[str]:
    """What makes answers of before and after the change answers to different questions."""
    if found is None or not found.ready:
        return []
    before, after = asked(found.layout) if found.layout else {}, asked(layout)
    # However two answers are compared, by rank or by naming the better one, it says the same.
    differing = sorted(name for name in (before.keys() | after.keys()) - {RANKING}
                       if not _goes_on(before.get(name), after.get(name)) or not found.layout)
    if not differing:
        return []
    return [f"workspace {desk.workspace!r}: the dataset {found.name!r} asks other questions than rubric.yaml "
            f"(different: {', '.join(differing)}). {RULE}, or name another workspace under `argilla: workspace:` in redpen.yaml "
            "to start a new desk"]


def _goes_on(before: Asked | None, after: Asked | None) -> bool:
    if after is None:
        return False
    if before is None:
        return not after.required
    return before.answers == after.answers and before.required >= after.required


def _same(found: Layout, layout: Layout) -> bool:
    """Alike but for the order of the questions, which Argilla cannot change."""
    return replace(found, questions=tuple(sorted(found.questions, key=lambda one: one.name))) == replace(
        layout, questions=tuple(sorted(layout.questions, key=lambda one: one.name)))
