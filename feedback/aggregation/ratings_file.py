"""Ratings in a plain file, from anywhere: JSON lines of item, reviewer and value, or a CSV file with these columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import PlainValidator, ValidationError

from feedback.aggregation.csv_lines import numbered_rows
from feedback.config import Strict, describe
from feedback.errors import InvalidInput, NothingToDo
from feedback.jsonl import numbered_values, raise_problems

LARGEST = 1e15
"""Numbers up to it are exact as floats, and so is their mean."""


def _name(found: Any) -> str | int:
    if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
        raise ValueError(f"found {found!r}; use a text or a whole number")
    return found


def _value(found: Any) -> str | float:
    if isinstance(found, bool) or not isinstance(found, str | int | float) or found == "":
        raise ValueError(f"found {found!r}; use a text (a label) or a number (on a scale)")
    if not isinstance(found, str) and not -LARGEST <= found <= LARGEST:
        raise ValueError(f"found {found}; use a number on a scale")
    return found


Name: TypeAlias = Annotated[str | int, PlainValidator(_name)]
Value: TypeAlias = Annotated[str | int | float, PlainValidator(_value)]
Scale: TypeAlias = tuple[str, ...] | tuple[float, ...]

MOST_LEVELS = 20
"""Different numbers that can still be a scale."""


class RatingLine(Strict):
    """One line of a ratings file."""

    item: Name
    reviewer: Name
    value: Value
    """A label, or a number on a scale."""


class GoldLine(Strict):
    """One line of a file of known answers."""

    item: Name
    value: Value


@dataclass(frozen=True)
class RatingsFile:
    """What a ratings file says, once for each item and reviewer."""

    values: Mapping[tuple[str | int, str | int], str | float]
    """(item, reviewer) -> value."""
    scale: Scale
    """Every value that a verdict may have, rising or in alphabetical order."""
    repeated: int

    @property
    def ordered(self) -> bool:
        """The values are numbers, so that some are nearer to each other than others."""
        return not isinstance(self.scale[0], str)

    def with_known(self, known: Mapping[str | int, str | float]) -> RatingsFile:
        """With a scale that reaches to the numbers that are known to be right, too, though nobody may have given them."""
        numbers = [value for value in chain(self.scale, known.values()) if not isinstance(value, str)]
        return replace(self, scale=_scale(numbers, Path("known values"))) if self.ordered and known else self


def read_ratings_file(path: Path) -> RatingsFile:
    """The ratings in a file; of two lines for one item and reviewer the later counts.

    Raises InvalidInput with every line that is not a rating, and NothingToDo when there are none at all.
    """
    problems: list[str] = []
    values: dict[tuple[str | int, str | int], str | float] = {}
    lines = 0
    for number, found in _lines(path, RatingLine, problems):
        try:
            line = RatingLine.model_validate(found)
        except ValidationError as error:
            problems += [f"{path}:{number}: {text}" for text in describe(error, RatingLine)]
            continue
        values[line.item, line.reviewer] = line.value
        lines += 1
    raise_problems(problems)
    if not values:
        raise NothingToDo(f'{path}: no ratings in it; expected lines such as {{"item": "a", "reviewer": "r", "value": 4}}')
    return RatingsFile(values=values, scale=_scale(list(values.values()), path), repeated=lines - len(values))


def read_gold_file(path: Path) -> dict[str | int, str | float]:
    """Item -> the value that is known to be right. Raises InvalidInput with every line that is not one."""
    problems: list[str] = []
    known: dict[str | int, str | float] = {}
    for number, found in _lines(path, GoldLine, problems):
        try:
            line = GoldLine.model_validate(found)
        except ValidationError as error:
            problems += [f"{path}:{number}: {text}" for text in describe(error, GoldLine)]
            continue
        if known.setdefault(line.item, line.value) != line.value:
            problems.append(f"{path}:{number}: item {line.item!r} is {line.value!r} here and {known[line.item]!r} above; "
                            "keep one")
    raise_problems(problems)
    return known


def _lines(path: Path, row: type[Strict], problems: list[str]) -> Iterator[tuple[int, Any]]:
    """(line number, what stands there) of a file named *.csv, and of any other as JSON lines."""
    return numbered_rows(path, list(row.model_fields)) if path.suffix.lower() == ".csv" else numbered_values(path, problems)


def _scale(values: Sequence[str | float], path: Path) -> Scale:
    """Labels in alphabetical order, or rising numbers; between whole numbers those that nobody gave as well."""
    labels = {value for value in values if isinstance(value, str)}
    numbers = {value for value in values if not isinstance(value, str)}
    if labels and numbers:
        raise InvalidInput(f"{path}: `value` is a text on some lines ({min(labels)!r}) and a number on others ({min(numbers)}); "
                           "use one of the two throughout")
    if labels:
        return tuple(sorted(labels))
    low, high = min(numbers), max(numbers)
    whole = all(float(number).is_integer() for number in numbers)
    levels = tuple(range(int(low), int(high) + 1)) if whole and high - low < MOST_LEVELS else tuple(sorted(numbers))
    if len(levels) > MOST_LEVELS:
        raise InvalidInput(f"{path}: {len(levels)} different numbers between {low} and {high}; a scale has at most {MOST_LEVELS} "
                           "levels, so round the values first")
    return levels
