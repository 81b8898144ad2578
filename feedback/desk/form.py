"""A submitted form, read strictly: what is missing, unknown or out of its scale is named, never guessed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from feedback.desk.layout import FLAGS, RANKING, REWRITE, SPANS, TIE, VERDICT, answer_fields
from feedback.desk.page_text import Positions, read_shown
from feedback.errors import InvalidInput
from feedback.ids import CompletionId
from feedback.rubric import Rubric
from feedback.schemas import Flag, Span, VerdictValue


class Form:
    """Takes the values of a submitted form out one by one and collects what is wrong with them."""

    def __init__(self, values: Mapping[str, Any], rubric: Rubric) -> None:
        self._left = dict(values)
        self._rubric = rubric
        self._problems: list[str] = []

    def finish(self) -> None:
        """Raise InvalidInput with every problem; a question that nobody asked for is one."""
        self._problems += [f"{name}: the rubric has no such question" for name in self._left]
        if self._problems:
            raise InvalidInput(self._problems)

    def choices(self) -> dict[str, str | tuple[str, ...]]:
        """What was chosen by choice; optional ones may be missing, several are in the order of the form."""
        found: dict[str, str | tuple[str, ...]] = {}
        for choice in self._rubric.choices:
            value = self._left.pop(choice.name, None)
            known = [option.value for option in choice.options]
            ticked = value if choice.many else [value]
            if isinstance(ticked, list) and ticked and all(one in known for one in ticked):
                ordered = tuple(one for one in known if one in ticked)
                found[choice.name] = ordered if choice.many else ordered[0]
            elif value not in (None, []) or (choice.required and not choice.many):
                self._wrong(choice.name, value, f"{'a list of' if choice.many else 'one of'} {known}")
        return found

    def criteria(self) -> dict[str, int]:
        """Rating by criterion; optional ones may be missing."""
        found = {}
        for criterion in self._rubric.criteria:
            value = self._left.pop(criterion.name, None)
            if value in criterion.scale and isinstance(value, int) and not isinstance(value, bool):
                found[criterion.name] = value
            elif value is not None or criterion.required:
                self._wrong(criterion.name, value, f"one of {list(criterion.scale)}")
        return found

    def verdict(self) -> VerdictValue | None:
        """The verdict; None after noting that it is missing or unknown."""
        value = self._left.pop(VERDICT, None)
        known = [verdict.value for verdict in VerdictValue]
        if value in known:
            return VerdictValue(value)
        self._wrong(VERDICT, value, f"one of {known}")
        return None

    def flags(self) -> tuple[Flag, ...]:
        """The ticked flags, in the order of the form."""
        value = self._left.pop(FLAGS, None) or []
        known = [flag.value for flag in Flag]
        if not isinstance(value, list) or any(one not in known for one in value):
            self._wrong(FLAGS, value, f"a list of {known}")
            return ()
        return tuple(flag for flag in Flag if flag.value in value)

    def spans(self, text: str) -> tuple[Span, ...]:
        """The marked parts of the text, in characters, in the order of the text."""
        value = self._left.pop(SPANS, None) or []
        if not value:
            return ()  # looking where each character stands takes longer than all the rest
        positions, marks = Positions(text), {mark.value: mark for mark in self._rubric.marks}
        found = []
        for one in value if isinstance(value, list) else [value]:
            match one:
                case {"label": str(label), "start": int(start), "end": int(end)} if (
                        label in marks and (place := positions.characters(start, end))):
                    found.append(Span(start=place[0], end=place[1], label=label, type=marks[label].type,
                                      severity=marks[label].severity, entity=marks[label].entity))
                case _:
                    self._wrong(SPANS, one, f"a part of the answer's {positions.count} positions marked as one of {list(marks)}")
        return tuple(sorted(found, key=lambda span: (span.start, span.end, span.label)))

    def tiers(self, shown_ids: Sequence[CompletionId]) -> tuple[tuple[CompletionId, ...], ...]:
        """The ranking as tiers of completions, best first, ids sorted within a tier; blind display order undone."""
        value = self._left.pop(RANKING, None)
        ids = dict(zip(answer_fields(len(shown_ids)), shown_ids, strict=True))
        if isinstance(value, str) and len(ids) == 2:
            return self._better_of_two(value, ids)
        ranks: dict[str, int] = {}
        for one in value if isinstance(value, list) else []:
            match one:
                case {"value": str(name), "rank": int(rank)} if name in ids and name not in ranks:
                    ranks[name] = rank
                case _:
                    self._wrong(RANKING, one, f"a rank for one of {list(ids)}")
        if set(ranks) != set(ids):
            self._wrong(RANKING, value, f"a rank for each of {list(ids)}")
        return tuple(tuple(sorted(ids[name] for name in ranks if ranks[name] == rank)) for rank in sorted(set(ranks.values())))

    def _better_of_two(self, value: str, ids: Mapping[str, CompletionId]) -> tuple[tuple[CompletionId, ...], ...]:
        if value == TIE:
            return (tuple(sorted(ids.values())),)
        if value not in ids:
            self._wrong(RANKING, value, f"one of {[*ids, TIE]}")
        return tuple((ids[name],) for name in sorted(ids, key=lambda name: name != value))

    def text(self, name: str) -> str | None:
        """A text as it was typed; None when there is nothing in it."""
        value = self._left.pop(name, None)
        if value is not None and not isinstance(value, str):
            self._wrong(name, value, "a text")
        # People paste from the answer, and with it what keeps its characters from being markup.
        return read_shown(value) if isinstance(value, str) and value.strip() else None

    def rewrite(self, answers: Sequence[str]) -> str | None:
        """The better answer; None when it is empty or says what one of the answers says."""
        value = self.text(REWRITE)
        return None if value is None or _plain(value) in {_plain(answer) for answer in answers} else value

    def _wrong(self, name: str, value: Any, allowed: str) -> None:
        found = "nothing" if value is None else repr(value)
        self._problems.append(f"{name}: found {found if len(found) <= 80 else found[:77] + '...'}; expected {allowed}")


def _plain(text: str) -> str:
    # A browser's text box changes line ends and no-break spaces by itself; that is not a rewrite.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\N{NO-BREAK SPACE}", " ").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()
