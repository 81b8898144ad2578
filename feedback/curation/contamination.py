"""Training rows that hold what a candidate will be judged on: the text of a held-out question, or of its reference.

A held-out text is found again by its passages of n words (see `wording`; 8 by default), as benchmarks are decontaminated
elsewhere. A text with fewer words, but at least 4, is one passage. What stands in the texts of more than 10 families is nobody's
secret: a template, a greeting, a policy that many answers quote.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from feedback.curation.wording import words
from feedback.ids import FamilyId, PromptId
from feedback.schemas import Prompt

SHORTEST = 4
"""Words below which a text says too little to be found again."""
FEW = 3
"""Passages up to which a text must recur as a whole."""
COMMON = 10
"""Families; a passage found in more of them is common property."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """A row that holds a good part of a held-out text."""

    prompt: PromptId
    part: str
    """`question` or `reference`."""
    share: float
    """Of the held-out text's own passages."""

    def __str__(self) -> str:
        return f"holds {self.share:.0%} of the {self.part} of {self.prompt}, which is held out"


@dataclass(frozen=True, slots=True)
class _Text:
    prompt: PromptId
    part: str
    own: int
    """Passages that are not common."""


class HeldOutTexts:
    """The passages of held-out questions and references, to be looked for in training rows."""

    def __init__(self, held_out: Iterable[Prompt], *, everything: Iterable[tuple[FamilyId, str]], size: int) -> None:
        """`everything`: the family and text of every question and answer there is; it tells which passages are common."""
        self._size = size
        texts = [(prompt, part, frozenset(_passages(words(text), size)))
                 for prompt in sorted(held_out, key=lambda row: row.id) for part, text in _texts(prompt)]
        self._sizes = sorted({len(passage) for _, _, passages in texts for passage in passages})
        common = _common({passage for _, _, passages in texts for passage in passages}, everything, self._sizes)
        self._texts = [_Text(prompt.id, part, len(passages - common)) for prompt, part, passages in texts]
        self._where: dict[tuple[str, ...], list[int]] = {}
        for at, (_, _, passages) in enumerate(texts):
            for passage in passages - common:
                self._where.setdefault(passage, []).append(at)

    def overlap(self, text: str, *, share: float) -> Overlap | None:
        """The held-out text of which most recurs in `text`, when at least `share` of it does."""
        hits: dict[int, int] = {}
        for passage in _of_sizes(words(text), self._sizes):
            for at in self._where.get(passage, ()):
                hits[at] = hits.get(at, 0) + 1
        found = [(count / self._texts[at].own, -at) for at, count in hits.items() if count >= _needed(self._texts[at].own, share)]
        if not found:
            return None
        most, at = max(found)
        return Overlap(prompt=self._texts[-at].prompt, part=self._texts[-at].part, share=most)


def _needed(own: int, share: float) -> float:
    """Passages that must recur. Of a short text all: half of one is soon shared by a question about something else."""
    return own if own <= FEW else share * own


def _texts(prompt: Prompt) -> Iterator[tuple[str, str]]:
    yield "question", prompt.text
    if prompt.reference:
        yield "reference", prompt.reference


def _passages(row: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    if len(row) < SHORTEST:
        return
    size = min(size, len(row))
    yield from (tuple(row[start:start + size]) for start in range(len(row) - size + 1))


def _of_sizes(row: Sequence[str], sizes: Sequence[int]) -> set[tuple[str, ...]]:
    return {tuple(row[start:start + size]) for size in sizes for start in range(len(row) - size + 1)}


def _common(passages: set[tuple[str, ...]], everything: Iterable[tuple[FamilyId, str]],
            sizes: Sequence[int]) -> set[tuple[str, ...]]:
    """Those of `passages` that stand in the texts of more than COMMON families."""
    families: dict[tuple[str, ...], set[FamilyId]] = {}
    for family, text in everything:
        for passage in _of_sizes(words(text), sizes) & passages:
            families.setdefault(passage, set()).add(family)
    return {passage for passage, found in families.items() if len(found) > COMMON}
