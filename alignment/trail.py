"""From a training row back to the people behind it, and from every file to the record of how it was made."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime

from alignment import steps
from alignment.project import Project
from alignment.snapshots import rows, strange_snapshots
from feedback.aggregation.conclusions import Sources
from feedback.config import Strict
from feedback.errors import InvalidInput, LineageError
from feedback.ids import CompletionId, ItemId, PolicyId, RatingId, ReviewerId
from feedback.jsonl import read_rows
from feedback.lineage import MANIFEST, changed_files, manifest_hash, read_manifest
from feedback.schemas import Answer, Completion, Rating
from feedback.terminal import tracked
from feedback.training_sets.row_texts import ROWS, strange_texts

if TYPE_CHECKING:
    from feedback.store.store import Store

EXPORTS = "exports"
"""Folder of a project whose exports `redpen verify` walks."""


class Step(Strict):
    """One rating that a training row rests on."""

    rating: RatingId
    reviewer: ReviewerId
    name: str
    """The reviewer's name now."""
    simulated: bool
    """True for a program."""
    item: ItemId
    record: str
    """The Argilla record and response."""
    submitted_at: AwareDatetime
    answer: Answer


class Trail(Strict):
    """A training row, and everything it rests on and led to."""

    row: dict[str, Any]
    file: str
    completions: tuple[CompletionId, ...]
    policies: tuple[PolicyId, ...]
    """Who wrote those completions."""
    steps: tuple[Step, ...]
    trained: tuple[str, ...]
    """Stage folders that were trained on it."""


def stage_folders(project: Project) -> list[Path]:
    """Every finished stage of every round, in order."""
    return sorted(path.parent for path in project.rounds.glob(f"*/*/{MANIFEST}") if not path.parent.name.endswith(".partial"))


def problems(project: Project) -> list[str]:
    """Everything that is not as it was recorded, each line beginning with the file. Empty when all is well."""
    folders = stage_folders(project)
    found: list[str] = []
    hashes: set[str] = set()
    for folder in tracked(folders, "verify"):
        try:
            hashes.add(read_manifest(folder).hash)
            found += changed_files(folder)
        except LineageError as error:
            found.append(str(error))
    found += [line for folder in folders for line in _unknown_inputs(folder, hashes)]
    with project.open_store() as store:
        found += strange_snapshots(folders, store, project.folder)
    found += [line for folder in folders for line in _rows_without_people(folder)]
    found += [line for folder in folders if folder.name == steps.SETS for line in _strange_texts(folder)]
    found += [line for folder in exports(project) for line in export_problems(folder, project)]
    return found


def _unknown_inputs(folder: Path, hashes: set[str]) -> Iterator[str]:
    """Inputs that no finished stage has the hash of: the folder was made from something that is gone."""
    try:
        manifest = read_manifest(folder)
    except LineageError:
        return
    for name, value in manifest.inputs.items():
        if value.startswith("stage-") and value not in hashes:
            yield f"{folder / MANIFEST}: was made from {name} {value}, which is not there any more; run the round again"


def _rows_without_people(folder: Path) -> Iterator[str]:
    """Training rows that name ratings, items or answers that are not in the round's snapshot, or other people than theirs."""
    snapshot = folder.parent / steps.SNAPSHOT
    ratings = {rating.id: rating for rating in rows(snapshot / "ratings.jsonl", Rating)}
    completions = {row.id for row in rows(snapshot / "completions.jsonl", Completion)}
    for name, model in ROWS.items():
        for row in rows(folder / name, model):
            if wrong := _stranger(row.sources, ratings, completions):
                yield f"{folder / name}: row {row.id} {wrong} that {steps.SNAPSHOT} does not hold"


def _strange_texts(folder: Path) -> list[str]:
    """Training rows that say something else than the round's curated snapshot; none when a file cannot be read, which is told."""
    try:
        return list(strange_texts(folder, folder.parent / steps.CURATED))
    except InvalidInput:
        return []


def _stranger(sources: Sources, ratings: Mapping[RatingId, Rating], completions: Container[CompletionId]) -> str | None:
    """What of a row's sources is not there; None when all is."""
    if not sources.ratings or not all(id in ratings for id in sources.ratings):
        return "rests on ratings"
    behind = [ratings[id] for id in sources.ratings]
    if {rating.item_id for rating in behind} != set(sources.items):
        return "names items"
    if {rating.reviewer_id for rating in behind} != set(sources.reviewers):
        return "names reviewers"
    return None if all(id in completions for id in sources.completions) else "names answers"


def exports(project: Project) -> list[Path]:
    """Every finished export in the project's `exports` folder."""
    found = [path.parent for path in (project.folder / EXPORTS).glob(f"*/{MANIFEST}")]
    return sorted(folder for folder in found if not folder.name.endswith(".partial"))


def export_problems(folder: Path, project: Project) -> list[str]:
    """Everything in an export that is not as it was recorded, or not as in the training sets that it was made from."""
    from feedback.training_sets.export import exported_rows
    from feedback.training_sets.trl_rows import read_kinds

    if found := changed_files(folder):
        return found
    source = read_manifest(folder).inputs["training_sets"]
    sets = next((each for each in stage_folders(project) if each.name == steps.SETS and manifest_hash(each) == source), None)
    if sets is None:
        return [f"{folder / MANIFEST}: was made from training sets {source}, which are not in this project"]
    known = {kind: {row["id"]: row for row in rows} for kind, rows in read_kinds(sets).items()}
    return [f"{path}: row {row['id']} is not the one in {sets}" for path, kind, row in exported_rows(folder)
            if known[kind].get(row["id"]) != row]


def trace(project: Project, row_id: str) -> Trail:
    """Follow one training row to its ratings. Raises InvalidInput when no round has a row with this id (or beginning)."""
    folder, name, row = _find(project, row_id)
    sources: Sources = row.sources
    sealed = {rating.id: rating for rating in read_rows(folder.parent / steps.SNAPSHOT / "ratings.jsonl", Rating)}
    if missing := [rating for rating in sources.ratings if rating not in sealed]:
        raise LineageError(f"{folder.parent / steps.SNAPSHOT / 'ratings.jsonl'}: no rating {', '.join(missing)}")
    with project.open_store() as store:
        walked = tuple(_step(store, sealed[rating]) for rating in sources.ratings)
        policies = {row.policy_id for row in store.completions(sources.completions)}
    trained = tuple(_trained_on(project, read_manifest(folder).hash))
    return Trail(row=json.loads(row.model_dump_json(exclude={"sources"})), file=str(folder / name),
                 completions=sources.completions, policies=tuple(sorted(policies)), steps=walked, trained=trained)


def _find(project: Project, row_id: str) -> tuple[Path, str, Any]:
    folders = [folder for folder in stage_folders(project) if folder.name == steps.SETS]
    for folder in folders:
        for name, model in ROWS.items():
            for row in rows(folder / name, model):
                if row.id.startswith(row_id):
                    return folder, name, row
    searched = ", ".join(str(folder) for folder in folders) or "no training sets yet"
    raise InvalidInput(f"{row_id}: no such training row; searched {searched}. Ids stand in {', '.join(ROWS)}")


def first_row(project: Project) -> str | None:
    """The id of some trained row, the newest round's first; None before anything was built."""
    for folder in reversed([folder for folder in stage_folders(project) if folder.name == steps.SETS]):
        for name, model in ROWS.items():
            if found := rows(folder / name, model):
                return str(found[0].id)
    return None


def _step(store: Store, rating: Rating) -> Step:
    who = next((reviewer for reviewer in store.reviewers() if reviewer.id == rating.reviewer_id), None)
    return Step(rating=rating.id, reviewer=rating.reviewer_id, name=who.name if who else "unknown",
                simulated=who is not None and who.simulated, item=rating.item_id, record=rating.source,
                submitted_at=rating.submitted_at, answer=rating.answer)


def _trained_on(project: Project, hash: str) -> Iterator[str]:
    for folder in stage_folders(project):
        if hash in read_manifest(folder).inputs.values():
            yield str(folder.relative_to(project.folder))


SHOWN = ("prompt_id", "completion", "chosen", "rejected")
"""Parts of a row that its trail prints."""


def lines(trail: Trail) -> list[tuple[str, str]]:
    """A trail for a table: (what, what was found), from the row to the people and the stages."""
    row = [(key, str(value)[:160]) for key, value in trail.row.items() if key in SHOWN]
    people = [(f"rated by {step.name}" + " (simulated)" * step.simulated,
               f"{step.submitted_at:%Y-%m-%d %H:%M} {step.rating}, {step.item}, {step.record}") for step in trail.steps]
    ends = [("written by", ", ".join(trail.policies)), *people, ("trained", ", ".join(trail.trained))]
    return [("file", trail.file), *row, *ends]
