"""Marked places that follow their text when it is changed."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from feedback.schemas import Span

LONGEST_COMPARED = 4_000
"""Characters between the first and the last change that are compared one by one; a longer stretch counts as replaced whole."""


def carried(spans: Sequence[Span], old: str, new: str) -> tuple[Span, ...]:
    """`spans` of `old`, where the same characters stand in `new`.

    A place whose characters were partly replaced covers the replacement too; one whose characters are all gone is left out,
    and so is one that lies beyond the text.
    """
    if old == new:
        return tuple(spans)
    pieces = _pieces(old, new)
    moved = (_carried(span, pieces) for span in spans if span.end <= len(old))
    return tuple(span for span in moved if span is not None)


Piece = tuple[int, int, int, int, bool]
"""old start, old end, new start, new end, unchanged."""


def _pieces(old: str, new: str) -> list[Piece]:
    """What became of each stretch of `old`, in order."""
    shorter = min(len(old), len(new))
    head = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    tail = next((at for at in range(shorter - head) if old[-1 - at] != new[-1 - at]), shorter - head)
    a, b = old[head:len(old) - tail], new[head:len(new) - tail]
    if len(a) * len(b) > LONGEST_COMPARED ** 2:
        middle = [("replace", 0, len(a), 0, len(b))]
    else:
        middle = list(SequenceMatcher(None, a, b, autojunk=False).get_opcodes())
    pieces: list[Piece] = [(0, head, 0, head, True)]
    pieces += [(head + i, head + j, head + k, head + m, name == "equal") for name, i, j, k, m in middle]
    return [*pieces, (len(old) - tail, len(old), len(new) - tail, len(new), True)]


def _carried(span: Span, pieces: Sequence[Piece]) -> Span | None:
    start, end = None, 0
    for old_start, old_end, new_start, new_end, same in pieces:
        first, last = max(span.start, old_start), min(span.end, old_end)
        if first >= last:
            continue
        here = new_start + (first - old_start) if same else new_start
        start, end = here if start is None else start, new_end - (old_end - last) if same else new_end
    return span.model_copy(update={"start": start, "end": end}) if start is not None and end > start else None
