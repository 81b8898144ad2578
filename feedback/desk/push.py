"""From the store to the reviewers: every item once, whatever is interrupted in between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby

from feedback.config import Strict
from feedback.desk import layout
from feedback.desk.codec import RecordDraft, record_of
from feedback.desk.desk import Dataset, Desk
from feedback.desk.routing import Router
from feedback.desk.rubrics import remember
from feedback.desk.setup import place_for, plan_datasets
from feedback.errors import DeskRefused, StoreError
from feedback.ids import ItemId
from feedback.rubric import Rubric
from feedback.schemas import ReviewItem
from feedback.store.store import Store
from feedback.terminal import progress

BATCH = 200
"""Records in one request: small enough for a smooth bar and an interrupted request to cost little."""


class PushReport(Strict):
    """What a push did."""

    pushed: int
    """Records added, or found to be there from a push that was interrupted."""
    already: int
    """Items that stood in Argilla before."""
    datasets: dict[str, int]
    """Records pushed, by dataset."""


def push(desk: Desk, store: Store, rubric: Rubric, items: Iterable[ReviewItem] | None = None, *,
         router: Router | None = None) -> PushReport:
    """Put the store's items (or only these) in front of the reviewers, those left out that stand there already.

    A record carries its item's id, so an item whose record is there but not noted yet is found and not made twice.
    """
    kind_of = partial(layout.kind_of, routed=router is not None)
    wanted = sorted({item.id: item for item in (store.items() if items is None else items)}.values(),
                    key=lambda item: (kind_of(item), item.id))
    if wanted and not desk.has_workspace():
        raise DeskRefused(f"workspace {desk.workspace!r} does not exist in Argilla; run `redpen review setup` first")
    remember(store, rubric)
    for step in plan_datasets(desk, rubric, {kind_of(item) for item in wanted}) if wanted else []:
        step.apply()
    datasets = desk.datasets() if wanted else {}
    place_of = partial(_place_of, datasets, rubric)
    there = _there(store, datasets)
    new = [item for item in wanted if not _is_there(item, there)]
    if router is not None:
        router.prepare(place_of(kind) for kind in {kind_of(item) for item in new})
    counts: dict[str, int] = {}
    with progress("Pushing", total=len(new)) as advance:
        for kind, group in groupby(new, key=kind_of):
            dataset = place_of(kind)
            for batch in _batches(list(group)):
                _push_batch(desk, store, batch, rubric=rubric, dataset=dataset, router=router)
                counts[dataset.name] = counts.get(dataset.name, 0) + len(batch)
                advance(len(batch))
    return PushReport(pushed=len(new), already=len(wanted) - len(new), datasets=counts)


def _place_of(datasets: Mapping[str, Dataset], rubric: Rubric, kind: layout.Kind) -> Dataset:
    found = place_for(datasets, layout.layouts(rubric, [kind])[0])
    assert found is not None, f"the plan that was applied made the dataset {kind.name}"
    return found


def _there(store: Store, datasets: Mapping[str, Dataset]) -> dict[ItemId, set[str]]:
    """The datasets that hold each item, by their names without versions.

    A record id names its dataset: on another server, or in a dataset made anew, the item is not pushed yet.
    """
    names = {dataset.id: layout.version_of(name)[0] for name, dataset in datasets.items()}
    return {item: {names[id] for record in records if (id := record.partition("/")[0]) in names}
            for item, records in store.pushed().items()}


def _is_there(item: ReviewItem, there: Mapping[ItemId, set[str]]) -> bool:
    # Whoever switches routing on or off goes on with the records that there are, whichever dataset they are in.
    names = {layout.kind_of(item).name, layout.kind_of(item, routed=True).name}
    return bool(there.get(item.id, set()) & names)


def _batches(items: Sequence[ReviewItem]) -> Iterable[Sequence[ReviewItem]]:
    return (items[start:start + BATCH] for start in range(0, len(items), BATCH))


def _push_batch(desk: Desk, store: Store, items: Sequence[ReviewItem], *, rubric: Rubric, dataset: Dataset,
                router: Router | None) -> None:
    found = desk.upsert(dataset, drafts(store, items, rubric=rubric, router=router))
    store.mark_all_pushed({item_id: f"{dataset.id}/{record_id}" for item_id, record_id in found.items()})


def drafts(store: Store, items: Sequence[ReviewItem], *, rubric: Rubric | None = None,
           router: Router | None = None) -> list[RecordDraft]:
    """The records of these items, in the same order."""
    prompts = {prompt.id: prompt for prompt in store.prompts({item.prompt_id for item in items})}
    ids = {completion for item in items for completion in item.completion_ids}
    completions = {completion.id: completion for completion in store.completions(ids)}
    if missing := sorted(ids - set(completions)):
        raise StoreError(f"{store.name}: items show {len(missing)} answers that are not in the store, such as {missing[0]}; "
                         "add completions before the items that show them")
    earlier = store.answers_to({item.settles for item in items if item.settles})
    found = [record_of(item, prompt=prompts[item.prompt_id], completions=completions, rubric=rubric,
                       earlier=earlier.get(item.settles, ()) if item.settles else ()) for item in items]
    if router is None:
        return found
    return [replace(draft, metadata={**draft.metadata, **router.metadata(item, prompts[item.prompt_id])})
            for item, draft in zip(items, found, strict=True)]
