"""The workspace and its datasets: first the plan, then the same plan applied. Applying it twice changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from feedback.config import QueueConfig, Strict
from feedback.desk.desk import Dataset, Desk
from feedback.desk.layout import Kind, Layout, kinds_for, layouts
from feedback.desk.routing import Router
from feedback.errors import InvalidInput
from feedback.rubric import Rubric


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
    steps = plan_datasets(desk, rubric, kinds_for(queues, routed=router is not None))
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
    problems = [problem for layout in wanted for problem in _conflicts(desk, present.get(layout.name), layout)]
    if problems:
        raise InvalidInput(problems)
    return [step for layout in wanted for step in _steps(desk, present.get(layout.name), layout)]


def _create(desk: Desk, layout: Layout) -> Step:
    reviews = f"{layout.reviews} review{'s' if layout.reviews > 1 else ''}"
    return Step(f"create the dataset {layout.name!r} ({reviews} of each record)", lambda: desk.create_dataset(layout))


def _steps(desk: Desk, found: Dataset | None, layout: Layout) -> list[Step]:
    if found is None:
        return [_create(desk, layout)]
    if not found.ready:
        remove = Step(f"remove the dataset {layout.name!r}, whose creation was interrupted", lambda: desk.delete_dataset(found))
        return [remove, _create(desk, layout)]
    if found.layout != layout:
        text = f"bring guidelines, titles and descriptions of the dataset {layout.name!r} up to rubric.yaml"
        return [Step(text, lambda: desk.update_dataset(found, layout))]
    return []


def _conflicts(desk: Desk, found: Dataset | None, layout: Layout) -> list[str]:
    """What Argilla cannot change in a dataset that is there."""
    if found is None or not found.ready or (found.layout and _asked(found.layout) == _asked(layout)):
        return []
    there = set(_asked(found.layout)) if found.layout else set()
    differing = sorted({str(asked[0]) for asked in there ^ set(_asked(layout))})
    return [f"workspace {desk.workspace!r}: the dataset {layout.name!r} asks other questions than rubric.yaml "
            f"(different: {', '.join(differing) or 'their order'}). Argilla cannot change the questions of a dataset; go back to "
            "the old rubric, or name another workspace under `argilla: workspace:` in redpen.yaml to start a new desk"]


def _asked(layout: Layout) -> list[tuple[object, ...]]:
    """Everything that answers depend on: not titles, descriptions or guidelines."""
    fields: list[tuple[object, ...]] = [(field.name, field.required) for field in layout.fields]
    questions = [(one.name, one.kind, one.required, tuple(value for value, _ in one.options)) for one in layout.questions]
    return [*fields, *questions, ("reviews", layout.reviews)]
