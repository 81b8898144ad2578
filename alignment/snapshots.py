"""Whether what is sealed is what the store holds, and what is curated follows from what is sealed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from feedback.errors import InvalidInput, LineageError, MissingPart
from feedback.ids import ItemId, RatingId
from feedback.jsonl import read_rows
from feedback.lineage import Manifest, read_manifest
from feedback.schemas import Completion, Prompt, Rating, ReviewItem
from feedback.terminal import note

if TYPE_CHECKING:
    from feedback.guardrails.pii import Masker
    from feedback.store.store import Store

Row = TypeVar("Row", bound=Any)


def strange_snapshots(folders: Iterable[Path], store: Store, project: Path) -> Iterator[str]:
    """Every row of these stages' snapshots that is not as it should be, each line beginning with the file."""
    made = {folder: manifest for folder in folders if (manifest := _manifest(folder))}
    stored = {rating.id: rating for rating in store.ratings()}
    sealed = {manifest.hash: folder for folder, manifest in made.items() if manifest.stage == "seal"}
    for folder, manifest in made.items():
        if manifest.stage == "seal":
            yield from _Sealed(folder, manifest, store).strange(stored)
        elif manifest.stage == "curate" and manifest.inputs.get("snapshot") in sealed:
            yield from _strange_curated(folder, sealed[manifest.inputs["snapshot"]], project)


def _manifest(folder: Path) -> Manifest | None:
    """The record of a stage; None when it cannot be read, which is told elsewhere."""
    try:
        return read_manifest(folder)
    except LineageError:
        return None


def _strange_curated(folder: Path, sealed: Path, project: Path) -> Iterator[str]:
    from feedback.curation.again import strange_rows

    try:
        yield from strange_rows(folder, sealed, project)
    except LineageError:
        return  # an altered or missing file, which is told elsewhere
    except (InvalidInput, MissingPart) as error:
        note(f"{folder}: its texts were not compared with its snapshot's: {error}")


class _Sealed:
    """One sealed snapshot beside the store. Where personal data was masked, texts are compared with the store's, masked again."""

    def __init__(self, folder: Path, made: Manifest, store: Store) -> None:
        self._folder, self._store = folder, store
        self._mask_name: str | None = made.config.get("masked")

    def strange(self, stored: Mapping[RatingId, Rating]) -> Iterator[str]:
        """Every row that is not the store's."""
        yield from self._ratings(stored)
        # A known question takes over new particulars, so its words alone are compared.
        yield from self._others("prompts", Prompt, self._store.prompts, lambda row, known: self._same(
            [message.content for message in known.messages], [message.content for message in row.messages]))
        yield from self._others("completions", Completion, self._store.completions, lambda row, known: self._same(
            [known.text], [row.text]) and row.model_copy(update={"text": known.text}) == known)
        yield from self._others("items", ReviewItem, lambda ids: self._store.items(ids=ids), lambda row, known: row == known)

    def _others(self, name: str, model: type[Row], known: Callable[[set[Any]], Iterable[Row]],
                same: Callable[[Row, Row], bool]) -> Iterator[str]:
        found = rows(self._folder / f"{name}.jsonl", model)
        stored = {row.id: row for row in known({row.id for row in found})}
        yield from (f"{self._folder / name}.jsonl: {row.id} is not the store's; it was altered" for row in found
                    if row.id not in stored or not same(row, stored[row.id]))

    def _same(self, texts: Sequence[str], found: Sequence[str]) -> bool:
        """The same texts or, where the snapshot was masked, the same masked; also where nobody can mask so any more."""
        from feedback.guardrails.pii import unnumbered

        if texts == found or self._mask_name is None:
            return texts == found
        return self._masker is None or [*map(unnumbered, found)] == [unnumbered(self._masker(text).text) for text in texts]

    @cached_property
    def _masker(self) -> Masker | None:
        from feedback.guardrails.masking import masker_again

        return masker_again(self._mask_name) if self._mask_name else None

    def _ratings(self, stored: Mapping[RatingId, Rating]) -> Iterator[str]:
        path = self._folder / "ratings.jsonl"
        changed = [row for row in rows(path, Rating) if stored.get(row.id) != row]
        shown = self._shown([row.item_id for row in changed])
        for row in changed:
            original = stored.get(row.id)
            if original is None:
                yield f"{path}: rating {row.id} is not in the store"
            elif self._mask_name is None or not _same_but_for_texts(row, original):
                yield f"{path}: rating {row.id} is not what its id says; it was altered"
            elif self._masker and not self._is_masked(row, original, shown[original.item_id]):
                yield f"{path}: rating {row.id} is not the store's with personal data masked; it was altered"

    def _is_masked(self, row: Rating, original: Rating, shown: str) -> bool:
        from feedback.guardrails.masking import is_masked_form

        return self._masker is not None and is_masked_form(row, original, shown=shown, masker=self._masker)

    def _shown(self, ids: Iterable[ItemId]) -> dict[ItemId, str]:
        """Item -> the answer that its marks are in, as the store has it."""
        items = {item.id: item.completion_ids[0] for item in self._store.items(ids=set(ids))}
        texts = {row.id: row.text for row in self._store.completions(set(items.values()))}
        return {item: texts[completion] for item, completion in items.items()}


def rows(path: Path, model: type[Row]) -> list[Row]:
    """The rows of a file; none when it is not there or cannot be read, which `changed_files` reports."""
    try:
        return read_rows(path, model)
    except InvalidInput:
        return []


def _same_but_for_texts(rating: Rating, original: Rating) -> bool:
    texts = {"answer": {"rewrite", "comment", "spans"}}
    return rating.model_dump(exclude=texts) == original.model_dump(exclude=texts)
