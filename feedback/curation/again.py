"""Whether curated rows are what their snapshot's rows become: each that differs is cleaned once more, as its record says.

Nothing else is done again: which rows stay was decided beside everything that was held out then. But a row that is not there
must have a reason in dropped.jsonl.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feedback.config import CurationConfig, PiiConfig, validate
from feedback.curation.curate import REWRITES, CuratedRewrite, with_marks
from feedback.curation.duplicates import normalised
from feedback.curation.ledger import Dropped, Kind, Ledger
from feedback.curation.terminology import Terminology, read_terminology
from feedback.curation.texts import Texts
from feedback.errors import InvalidInput
from feedback.guardrails.pii import Masker, unnumbered
from feedback.guardrails.recognizers import require
from feedback.ids import content_hash
from feedback.jsonl import read_rows
from feedback.lineage import Manifest, read_manifest
from feedback.schemas import Completion, Deleted, Prompt, Queue, Rating, ReviewItem
from feedback.store.snapshot import Snapshot, read_snapshot


@dataclass(frozen=True)
class Cleaning:
    """Cleans texts as those of one curated folder were cleaned, whatever is configured now.

    Placeholders' numbers are not compared: they follow from a key, which may be gone.
    """

    config: CurationConfig
    masker: Masker | None
    terminology: Terminology | None

    def gives(self, kind: Kind, text: str | None, found: str | None) -> bool:
        """`found` is what became of `text`."""
        if found == text or text is None or found is None:
            return found == text
        return unnumbered(found) in self.forms(kind, text)

    def masks(self, text: str | None, found: str | None) -> bool:
        """`found` is `text` masked, and nothing else."""
        if found == text or text is None or found is None or self.masker is None:
            return found == text
        return unnumbered(found) == unnumbered(self.masker(text).text)

    def forms(self, kind: Kind, text: str) -> set[str]:
        """What may have become of `text`: with Unicode repaired and, where ftfy was missing then, not."""
        configs = (self.config, self.config.model_copy(update={"repair_unicode": False}))
        return {unnumbered(Texts(config, Ledger(), masker=self.masker, terminology=self.terminology).clean(kind, "", text))
                for config in configs}


def cleaning_of(made: Manifest, project: Path) -> Cleaning:
    """How a curated folder's texts were cleaned. Raises InvalidInput or MissingPart where that can no longer be had."""
    config = validate(made.config, CurationConfig, source=made.stage)
    return Cleaning(config, masker=_masker(config.pii, made.inputs.get("pii")),
                    terminology=_terms(config, project, made.inputs.get("terminology")))


def _masker(config: PiiConfig, recorded: str | None) -> Masker | None:
    """Who masked: with names or, where their model was missing then, without; or nobody."""
    if recorded == content_hash("pii", None):
        return None
    for missing in (frozenset[str](), frozenset({"person"})):
        mask, flag = (frozenset(kind for kind in kinds if kind not in missing) for kinds in (config.mask, config.flag))
        if content_hash("pii", Masker(key=b"", mask=mask, flag=flag).name) == recorded:
            require(mask)
            return Masker(key=b"", mask=mask, flag=frozenset())
    raise InvalidInput("it was masked in another Redpen's way")


def _terms(config: CurationConfig, project: Path, recorded: str | None) -> Terminology | None:
    if config.terminology is None:
        return None
    terms = read_terminology(project / config.terminology)
    if content_hash("terminology", terms.model_dump(mode="json")) != recorded:
        raise InvalidInput(f"{project / config.terminology} has changed since")
    return terms


def strange_rows(folder: Path, sealed: Path, project: Path) -> Iterator[str]:
    """Every row of a curated folder that does not follow from its snapshot, each line beginning with the file.

    Raises InvalidInput or MissingPart where it can no longer be had how the texts were cleaned.
    """
    look = _Look(read_snapshot(folder), read_snapshot(sealed), cleaning_of(read_manifest(folder), project))
    dropped = {row.id for row in read_rows(folder / "dropped.jsonl", Dropped)}
    for name, follows in (("prompts", look.prompt), ("completions", look.completion), ("items", look.item),
                          ("ratings", look.rating)):
        yield from _strange(folder / f"{name}.jsonl", look.rows(name), follows, dropped)
    yield from (f"{folder / REWRITES}: the rewrite of {row.rating_id} is not its reviewer's, cleaned; it was altered"
                for row in read_rows(folder / REWRITES, CuratedRewrite) if not look.rewrite(row))
    for name in ("gold", "quarantined", "reviewers", "rubric"):
        if not look.same(name):
            yield f"{folder / name}: not as in {sealed}; it was altered"


def _strange(path: Path, rows: tuple[Sequence[Any], Sequence[Any]], follows: Callable[[Any, Any], bool],
             dropped: set[str]) -> Iterator[str]:
    before, kept = ({row.id: row for row in each} for each in rows)
    for id, row in kept.items():
        if id not in before:
            yield f"{path}: {id} is not in the snapshot"
        elif row != before[id] and not follows(before[id], row):
            yield f"{path}: {id} is not what its snapshot's row becomes; it was altered"
    yield from (f"{path}: {id} left the snapshot without a reason" for id in before if id not in kept and id not in dropped)


class _Look:
    """Whether rows of a curated snapshot follow from those of the snapshot."""

    def __init__(self, curated: Snapshot, before: Snapshot, cleaning: Cleaning) -> None:
        self._curated, self._before, self._cleaning = curated, before, cleaning
        items = {item.id for item in curated.items}
        given = [row for row in before.ratings if row.item_id in items]
        self._moved = {row.id: row for row in with_marks(given, before, curated.items, curated.completions)}
        self._written = {row.id: row.answer.rewrite for row in before.ratings if not isinstance(row.answer, Deleted)}

    def rows(self, name: str) -> tuple[Sequence[Any], Sequence[Any]]:
        """Before and after."""
        return getattr(self._before, name), getattr(self._curated, name)

    def prompt(self, old: Prompt, new: Prompt) -> bool:
        """Its messages and its reference are cleaned, and nothing else is another."""
        return (new.model_copy(update={"messages": old.messages, "reference": old.reference}) == old
                and [message.role for message in new.messages] == [message.role for message in old.messages]
                and all(self._cleaning.gives("prompt", was.content, is_now.content)
                        for was, is_now in zip(old.messages, new.messages, strict=True))
                and self._cleaning.gives("prompt", old.reference, new.reference))

    def completion(self, old: Completion, new: Completion) -> bool:
        """Its text is cleaned."""
        return new.model_copy(update={"text": old.text}) == old and self._cleaning.gives("completion", old.text, new.text)

    def item(self, old: ReviewItem, new: ReviewItem) -> bool:
        """A ranking without the answers that left, or a rated answer under another that has the same text."""
        if new.model_copy(update={"prompt_id": old.prompt_id, "completion_ids": old.completion_ids}) != old:
            return False
        if old.queue is Queue.RANK:
            return new.prompt_id == old.prompt_id and [id for id in old.completion_ids if id in new.completion_ids] == list(
                new.completion_ids)
        forms = self._cleaning.forms("completion", self._before.completion(old.completion_ids[0]).text)
        stand_in = self._curated.completion(new.completion_ids[0])
        return stand_in.prompt_id == new.prompt_id and normalised(unnumbered(stand_in.text)) in map(normalised, forms)

    def rating(self, old: Rating, new: Rating) -> bool:
        """Its texts are masked, and its marks stand where their words do."""
        moved = self._moved.get(old.id, old)
        was, is_now = moved.answer, new.answer
        if isinstance(was, Deleted) or isinstance(is_now, Deleted):
            return False
        texts = {"rewrite": was.rewrite, "comment": was.comment}
        return (new.model_copy(update={"answer": is_now.model_copy(update=texts)}) == moved
                and self._cleaning.masks(was.rewrite, is_now.rewrite) and self._cleaning.masks(was.comment, is_now.comment))

    def rewrite(self, row: CuratedRewrite) -> bool:
        """It is what its reviewer wrote, cleaned."""
        return self._cleaning.gives("rating", self._written.get(row.rating_id), row.text)

    def same(self, name: str) -> bool:
        """Who rated, by which form, who is in quarantine, and what is known of the items that stay."""
        before, after = getattr(self._before, name), getattr(self._curated, name)
        if name != "gold":
            return bool(before == after)
        known = {row.item_id: row for row in before}
        return all(row.model_copy(update={"completion_id": known[row.item_id].completion_id}) == known[row.item_id]
                   for row in after if row.item_id in known) and {row.item_id for row in after} <= set(known)
