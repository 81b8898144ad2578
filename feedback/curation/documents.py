"""Documents for further pre-training: the same checks as for answers, and near duplicates dropped.

A documents file is JSON Lines of `{"text", "title"?, "source"?, "valid_until"?}`. A document has no ratings behind it, so of
several that say the same the first stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NewType

from pydantic import Field

from feedback.config import CurationConfig, Strict
from feedback.curation.aids import Aids
from feedback.curation.contamination import HeldOutTexts
from feedback.curation.ledger import Changed, CurationCard, Dropped, Example, Flagged, Ledger
from feedback.curation.near import near_duplicates
from feedback.curation.report import report_page
from feedback.curation.texts import Texts
from feedback.errors import NothingToDo
from feedback.ids import FamilyId, content_hash, file_hash
from feedback.jsonl import read_rows, write_rows
from feedback.lineage import Manifest, read_manifest, writing

DocumentId = NewType("DocumentId", str)


class Document(Strict):
    """One text to be learned from as it is."""

    text: str
    title: str | None = None
    source: str | None = None
    """Where it came from, for people."""
    valid_until: date | None = None
    """From the day after it is left out."""

    @property
    def id(self) -> DocumentId:
        """The hash of its text and title."""
        return DocumentId(content_hash("document", [self.title, self.text]))


class DocumentsStage(Strict):
    """Configuration of the stage."""

    curation: CurationConfig = CurationConfig()
    today: date
    """Documents whose `valid_until` lies before it are dropped."""
    similarity: float = Field(default=0.8, gt=0, le=1)
    """Of two texts' 4-grams, from which they are near duplicates."""
    max_characters: int = Field(default=1_000_000, ge=1)
    """Longer documents are dropped."""


@dataclass(frozen=True)
class CuratedDocuments:
    """What is kept, and the account of the rest."""

    documents: tuple[Document, ...]
    dropped: tuple[Dropped, ...]
    changed: tuple[Changed, ...]
    flagged: tuple[Flagged, ...]
    examples: tuple[Example, ...]
    card: CurationCard


def run(stage: DocumentsStage, *, path: Path, out: Path, aids: Aids = Aids()) -> Manifest:  # noqa: B008 - frozen
    """Write documents.jsonl with dropped.jsonl, changed.jsonl, flagged.jsonl, card.json and report.html.

    Raises NothingToDo for a file without documents, and MissingPart without rensa.
    """
    curated = plan(stage, path=path, aids=aids)
    with writing(out, stage="documents", inputs={"documents": file_hash(path)} | aids.hashes, config=stage) as draft:
        for name in ("documents", "dropped", "changed", "flagged"):
            draft.counts[name] = write_rows(draft.folder / f"{name}.jsonl", getattr(curated, name))
        (draft.folder / "card.json").write_text(curated.card.model_dump_json(indent=1) + "\n", encoding="utf-8")
        page = report_page(curated.card, curated.dropped, curated.changed, curated.flagged, curated.examples)
        (draft.folder / "report.html").write_text(page, encoding="utf-8")
    return read_manifest(out)


def plan(stage: DocumentsStage, *, path: Path, aids: Aids = Aids()) -> CuratedDocuments:  # noqa: B008 - frozen
    """What `run` would write, with nothing written."""
    documents = read_rows(path, Document)
    if not documents:
        raise NothingToDo(f"{path}: no documents in it")
    return curate_documents(documents, stage, aids)


def curate_documents(documents: Sequence[Document], stage: DocumentsStage, aids: Aids = Aids()) -> CuratedDocuments:  # noqa: B008
    """The documents that may be learned from, in the order given, each in the form in which they may."""
    ledger = Ledger()
    config = stage.curation.model_copy(update={"max_completion_characters": stage.max_characters})
    texts = Texts(config, ledger, masker=aids.masker, terminology=aids.terminology)
    held_out = HeldOutTexts(aids.held_out, size=config.contamination_words,
                            everything=[(FamilyId(row.id), row.text) for row in documents])
    # One text may stand in the file twice, so the line is part of the name under which a document is accounted for.
    rows = [(row, f"{row.id} line {at}") for at, row in enumerate(documents, start=1)]
    usable = [(row, id) for row, id in rows if not _dropped(row, id, stage, texts, held_out)]
    cleaned = [(_cleaned(row, id, texts), id) for row, id in usable]
    repeats = near_duplicates([row.text for row, _ in cleaned], similarity=stage.similarity)
    for at, first in repeats.items():
        ledger.drop("document", cleaned[at][1], step="near duplicate", reason=f"nearly the same text as {cleaned[first][1]}")
    kept = tuple(row for row, id in cleaned if id not in ledger.dropped)
    card = ledger.card(read={"documents": len(documents)}, kept={"documents": len(kept)},
                       masked=dict(sorted(texts.masked.items())), said=aids.said)
    return CuratedDocuments(documents=kept, dropped=tuple(ledger.dropped.values()), changed=tuple(ledger.changed),
                            flagged=tuple(ledger.flagged), examples=tuple(ledger.examples), card=card)


def _cleaned(row: Document, id: str, texts: Texts) -> Document:
    return row.model_copy(update={"text": texts.clean("document", id, row.text),
                                  "title": None if row.title is None else texts.clean("document", id, row.title),
                                  "source": texts.only_masked("document", id, row.source)})


def _dropped(row: Document, id: str, stage: DocumentsStage, texts: Texts, held_out: HeldOutTexts) -> bool:
    """Leave a document out where something is wrong with it, and say whether."""
    if row.valid_until and row.valid_until < stage.today:
        texts.ledger.drop("document", id, step="outdated", reason=f"valid until {row.valid_until}; today is {stage.today}")
    elif found := texts.flaw("document", id, row.text):
        texts.ledger.drop("document", id, step=found.step, reason=found.reason)
    elif stage.curation.contamination != "off" and (
            overlap := held_out.overlap(row.text, share=stage.curation.contamination_share)):
        if stage.curation.contamination == "drop":
            texts.ledger.drop("document", id, step="contamination", reason=str(overlap))
        else:
            texts.ledger.flag("document", id, step="contamination", reason=str(overlap))
    return id in texts.ledger.dropped
