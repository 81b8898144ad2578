"""Snapshots: what was rated, copied up to a moment and hashed. A round works on one and never looks at the store again.

The files: prompts, completions, items, ratings, reviewers, gold and quarantined (each .jsonl, sorted by id), and rubric.json.
Only rated items are in them, with their prompts and completions, so the same ratings give the same bytes whatever else
has been queued since. The ratings of gold items come along, whatever is sealed: they tell how reliable the reviewers are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from feedback.config import validate
from feedback.errors import InvalidInput, LineageError, NothingToDo
from feedback.ids import CompletionId, ItemId, PromptId, RatingId, ReviewerId, canonical_json, content_hash
from feedback.jsonl import read_rows, write_rows
from feedback.lineage import Manifest, changed_files, read_manifest, writing
from feedback.rubric import Rubric
from feedback.schemas import Completion, GoldAnswer, Prompt, Purpose, Quarantine, Rating, Reviewer, ReviewItem
from feedback.store.quarantine import quarantined
from feedback.store.rubrics import check_goes_on
from feedback.store.store import Store

Value = TypeVar("Value")


@dataclass(frozen=True)
class Contents:
    """What a snapshot holds, before it is written or after it is read."""

    prompts: tuple[Prompt, ...]
    completions: tuple[Completion, ...]
    items: tuple[ReviewItem, ...]
    ratings: tuple[Rating, ...]
    """The live ones: the highest version of each (item, reviewer), tombstones left out."""
    reviewers: tuple[Reviewer, ...]
    rubric: Rubric
    gold: tuple[GoldAnswer, ...] = field(default=(), kw_only=True)
    """What is known of the rated gold items."""
    quarantined: tuple[Quarantine, ...] = field(default=(), kw_only=True)
    """Reviewers whose ratings, which are here, count for nothing."""


@dataclass(frozen=True)
class Snapshot(Contents):
    """A sealed snapshot, or a curated one, as read from its folder."""

    folder: Path
    hash: str
    """The folder's manifest hash."""
    _prompts: Mapping[PromptId, Prompt] = field(init=False, repr=False, compare=False)
    _completions: Mapping[CompletionId, Completion] = field(init=False, repr=False, compare=False)
    _items: Mapping[ItemId, ReviewItem] = field(init=False, repr=False, compare=False)
    _reviewers: Mapping[ReviewerId, Reviewer] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("prompts", "completions", "items", "reviewers"):
            object.__setattr__(self, f"_{name}", {value.id: value for value in getattr(self, name)})

    def prompt(self, id: PromptId) -> Prompt:
        """The prompt with this id. Raises LineageError when the snapshot does not hold it."""
        return self._found(self._prompts.get(id), "prompts", id)

    def completion(self, id: CompletionId) -> Completion:
        """The completion with this id. Raises LineageError when the snapshot does not hold it."""
        return self._found(self._completions.get(id), "completions", id)

    def item(self, id: ItemId) -> ReviewItem:
        """The item with this id. Raises LineageError when the snapshot does not hold it."""
        return self._found(self._items.get(id), "items", id)

    def reviewer(self, id: ReviewerId) -> Reviewer:
        """The reviewer with this id. Raises LineageError when the snapshot does not hold them."""
        return self._found(self._reviewers.get(id), "reviewers", id)

    def _found(self, value: Value | None, kind: str, id: str) -> Value:
        if value is None:
            raise LineageError(f"{self.folder / kind}.jsonl: no {id}; the snapshot is not whole, seal it again")
        return value


class ContentsMask(Protocol):
    """Takes personal data out of a snapshot's texts."""

    @property
    def name(self) -> str:
        """The same for the same work."""
        ...

    def __call__(self, contents: Contents) -> Contents:
        """The masked rows, under the same ids."""
        ...


def seal(store: Store, *, purpose: Purpose | None, rounds: Sequence[int] | None, rubric: Rubric, out: Path,
         until: datetime | None = None, exclude: Collection[RatingId] = (), mask: ContentsMask | None = None) -> Manifest:
    """Copy what was rated for a purpose in some rounds (None: any), submitted until a moment, into `out`.

    `exclude`: ratings that are left out, since a policy has learned from them already. `mask`: takes personal data out of what
    is written; ids stay those of the store. The same ratings give the same
    manifest hash: `until` is told in logs/seal.json only. Raises NothingToDo without ratings, and InvalidInput for a
    rubric under which older ratings would answer other questions.
    """
    check_goes_on(store, rubric)
    known = frozenset(exclude)
    latest = [row for row in store.latest_ratings(until, purpose=purpose, rounds=rounds) if row.id not in known]
    live = [row for row in latest if row.answer.kind != "deleted"]
    if not live:
        raise NothingToDo(_nothing(store, purpose, rounds))
    on_gold = {row.id: row for row in store.live_ratings(until, purpose=Purpose.GOLD)}
    contents = gather(store, list((on_gold | {row.id: row for row in live}).values()), rubric, until=until)
    inputs = {"ratings": content_hash("ratings", [row.id for row in contents.ratings]), "rubric": rubric.hash}
    if contents.gold:
        inputs["gold"] = content_hash("gold", [row.model_dump(mode="json") for row in contents.gold])
    quarantine = {row.reviewer_id for row in contents.quarantined}
    if contents.quarantined:
        inputs["quarantined"] = content_hash("quarantined", [row.model_dump(mode="json") for row in contents.quarantined])
    config = {"purpose": purpose, "rounds": None if rounds is None else sorted(rounds)} | ({"masked": mask.name} if mask else {})
    with writing(out, stage="seal", inputs=inputs, config=config) as draft:
        draft.counts.update(write_contents(mask(contents) if mask else contents, draft.folder))
        draft.counts["ratings_deleted"] = len(latest) - len(live)
        draft.counts["ratings_in_quarantine"] = sum(row.reviewer_id in quarantine for row in contents.ratings)
        draft.counts["ratings_under_another_rubric"] = sum(row.rubric != rubric.hash for row in contents.ratings)
        (draft.logs / "seal.json").write_text(json.dumps({"store": store.name, "until": str(until)}), encoding="utf-8")
    return read_manifest(out)


def contents_now(store: Store, rubric: Rubric) -> Contents:
    """Every live rating of a store as it is now, of any purpose and round. Raises NothingToDo without one."""
    live = store.live_ratings()
    if not live:
        raise NothingToDo(_nothing(store, None, None))
    return gather(store, live, rubric)


def gather(store: Store, live: Sequence[Rating], rubric: Rubric, *, until: datetime | None = None) -> Contents:
    """These ratings with everything that they are about, and who of their reviewers was in quarantine then."""
    items = store.items(ids={row.item_id for row in live})
    reviewers = _sorted([row for row in store.reviewers() if row.id in {rating.reviewer_id for rating in live}])
    quarantine = {row.reviewer_id: row for row in quarantined(store, until)}
    return Contents(
        prompts=_sorted(store.prompts({item.prompt_id for item in items})),
        completions=_sorted(store.completions({completion for item in items for completion in item.completion_ids})),
        items=_sorted(items), ratings=_sorted(live), rubric=rubric, gold=_sorted(store.gold({item.id for item in items})),
        reviewers=reviewers, quarantined=tuple(quarantine[row.id] for row in reviewers if row.id in quarantine))


def _sorted(values: Iterable[Value]) -> tuple[Value, ...]:
    return tuple(sorted(values, key=_id))


def _id(value: Any) -> str:
    if isinstance(value, Quarantine):
        return str(value.reviewer_id)
    return str(value.item_id if isinstance(value, GoldAnswer) else value.id)


def _nothing(store: Store, purpose: Purpose | None, rounds: Sequence[int] | None) -> str:
    waiting = [item for item in store.items(purpose) if rounds is None or item.round in rounds]
    which = "" if rounds is None else f" of round {' and '.join(map(str, sorted(rounds)))}"
    asked = f"{purpose.value} items{which}" if purpose else f"items{which}"
    if not waiting:
        return f"{store.name}: no {asked} to review yet; queue some with `redpen round run`, then `redpen review push`"
    return (f"{store.name}: no ratings yet; {asked} that wait for some: {len(waiting)}; "
            "reviewers submit them in Argilla, then run `redpen review pull`")


def write_contents(contents: Contents, folder: Path) -> dict[str, int]:
    """Write a snapshot's files into `folder` and return how many rows each has."""
    counts = {name: write_rows(folder / f"{name}.jsonl", _sorted(rows)) for name, rows in _lists(contents).items()}
    partial = folder / "rubric.json.partial"
    partial.write_text(canonical_json(contents.rubric.model_dump(mode="json")) + "\n", encoding="utf-8")
    os.replace(partial, folder / "rubric.json")
    return counts


def _lists(contents: Contents) -> dict[str, Sequence[BaseModel]]:
    return {"prompts": contents.prompts, "completions": contents.completions, "items": contents.items,
            "ratings": contents.ratings, "reviewers": contents.reviewers, "gold": contents.gold,
            "quarantined": contents.quarantined}


def read_snapshot(folder: Path) -> Snapshot:
    """The snapshot in a finished stage folder. Raises LineageError naming every file that is missing or altered."""
    manifest = read_manifest(folder)
    if problems := changed_files(folder):
        raise LineageError("\n".join(problems))
    try:
        rubric = json.loads((folder / "rubric.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InvalidInput(f"{folder / 'rubric.json'}: missing or not JSON; {folder} is no snapshot") from None
    return Snapshot(
        prompts=tuple(read_rows(folder / "prompts.jsonl", Prompt)),
        completions=tuple(read_rows(folder / "completions.jsonl", Completion)),
        items=tuple(read_rows(folder / "items.jsonl", ReviewItem)),
        ratings=tuple(read_rows(folder / "ratings.jsonl", Rating)),
        reviewers=tuple(read_rows(folder / "reviewers.jsonl", Reviewer)),
        # Snapshots of Redpen 0.1 have neither; a lost file was told above.
        gold=tuple(read_rows(folder / "gold.jsonl", GoldAnswer)) if (folder / "gold.jsonl").exists() else (),
        quarantined=_quarantined_in(folder),
        rubric=validate(rubric, Rubric, source=str(folder / "rubric.json")), folder=folder, hash=manifest.hash)


def _quarantined_in(folder: Path) -> tuple[Quarantine, ...]:
    path = folder / "quarantined.jsonl"
    return tuple(read_rows(path, Quarantine)) if path.exists() else ()
