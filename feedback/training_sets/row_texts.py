"""Whether training rows say what was asked, answered and rewritten in the curated snapshot that they were made from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import assert_never

from feedback.curation.curate import REWRITES, CuratedRewrite
from feedback.curation.duplicates import normalised
from feedback.ids import CompletionId, PromptId, RatingId
from feedback.jsonl import read_rows
from feedback.schemas import Completion, Prompt
from feedback.training_sets.rows import KtoExample, PreferencePair, RankedSet, SftExample

AnyRow = SftExample | PreferencePair | KtoExample | RankedSet
ROWS: dict[str, type[SftExample] | type[PreferencePair] | type[KtoExample] | type[RankedSet]] = {
    "sft.jsonl": SftExample, "pairs.jsonl": PreferencePair, "kto.jsonl": KtoExample, "rankings.jsonl": RankedSet}


def strange_texts(training_sets: Path, curated: Path) -> Iterator[str]:
    """Every row whose question or answers are not those of its sources, each line beginning with the file.

    Raises InvalidInput when a file cannot be read.
    """
    known = _Known(curated)
    for name, model in ROWS.items():
        path = training_sets / name
        rows: list[AnyRow] = [*read_rows(path, model)] if path.exists() else []
        yield from (f"{path}: row {row.id} has {wrong}; it was altered" for row in rows if (wrong := known.wrong(row)))


class _Known:
    """The texts of a curated snapshot."""

    def __init__(self, curated: Path) -> None:
        self._asked: dict[PromptId, Prompt] = {row.id: row for row in read_rows(curated / "prompts.jsonl", Prompt)}
        self._said: dict[CompletionId, str] = {row.id: row.text for row in read_rows(curated / "completions.jsonl", Completion)}
        self._written: dict[RatingId, str] = {row.rating_id: row.text for row in read_rows(curated / REWRITES, CuratedRewrite)}
        self._every = {*self._said.values(), *self._written.values()}

    def wrong(self, row: AnyRow) -> str | None:
        """What of a row is not as it was; None when all is."""
        asked = self._asked.get(row.prompt_id)
        if asked is None or (asked.messages, asked.family, asked.topic, asked.synthetic) != (
                row.messages, row.family, row.topic, row.synthetic):
            return "another question than its prompt's"
        own = {self._said[id] for id in row.sources.completions if id in self._said}
        own |= {self._written[id] for id in row.sources.ratings if id in self._written}
        # A text that several wrote stands in the spelling of one of them.
        spellings = {normalised(text) for text in own}
        if all(text in self._every and normalised(text) in spellings for text in _texts(row)):
            return None
        return "an answer that none of its sources gave"


def _texts(row: AnyRow) -> tuple[str, ...]:
    match row:
        case SftExample() | KtoExample():
            return (row.completion,)
        case PreferencePair():
            return (row.chosen, row.rejected)
        case RankedSet():
            return row.completions
        case _:
            assert_never(row)
