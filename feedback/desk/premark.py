"""Marks made beforehand: figures and names of an answer that its source does not hold. Suggestions, never findings. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from feedback.rubric import Mark, Rubric
from feedback.schemas import SpanType

_FIGURE = r"\d[\d.,:/]*\d|\d"
_NAME = r"(?<![.!?:\n] )(?<!^)(?<![.!?:\n])(?<=\S )[A-Z][\w'-]+"
"""A capital inside a sentence; what begins one says nothing."""
_CLAIM = re.compile(rf"{_FIGURE}|{_NAME}|`[^`\n]+`", re.MULTILINE)


def unsupported(answer: str, source: str) -> Iterator[tuple[int, int]]:
    """Where figures, names and code words stand in the answer, in characters, that the source does not hold."""
    known = {_plain(word) for word in re.findall(rf"{_FIGURE}|[\w'-]+|`[^`\n]+`", source)}
    for found in _CLAIM.finditer(answer):
        if _plain(found[0]) not in known and _plain(found[0]).casefold() not in {word.casefold() for word in known}:
            yield found.start(), found.end()


def _plain(word: str) -> str:
    return word.strip("`").rstrip(".,:/")


def suggested_mark(rubric: Rubric) -> Mark | None:
    """The mark that says least: not in the source, minor; None where the rubric marks no errors."""
    errors = [mark for mark in rubric.marks if not mark.entity]
    return next((mark for mark in errors if mark.type is SpanType.NOT_IN_SOURCE), errors[0] if errors else None)
