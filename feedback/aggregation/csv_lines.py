"""Ratings as a spreadsheet saves them: a header, then one rating a line, numbers being numbers where all values are."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from feedback.errors import InvalidInput

BEYOND = "more than the header has"


def numbered_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number from 1, row) for every line under the header; `value` is a number where every line's is one.

    Raises InvalidInput for a file that is not UTF-8 text, other columns than these, or what is no CSV.
    """
    reader = csv.DictReader(io.StringIO(_text(path), newline=""), restkey=BEYOND, strict=True)
    try:
        _check(path, reader.fieldnames or (), columns)
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise InvalidInput(f"{path}:{reader.reader.line_num}: not CSV ({error}); one rating a line, "
                           "texts with a comma in double quotes") from None
    numbers = [_number(row["value"]) for _, row in rows]
    told = None not in numbers
    for (line, row), number in zip(rows, numbers, strict=True):
        yield line, row | {"value": number} if told else row


def _check(path: Path, found: Sequence[str], columns: Sequence[str]) -> None:
    if sorted(found) != sorted(columns):
        raise InvalidInput(f"{path}:1: the columns are {', '.join(map(repr, found)) or 'none'}; the first line must be "
                           f"{','.join(columns)}, in any order, separated by commas")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path}: not UTF-8 (byte {error.start}); save the file as CSV UTF-8") from None
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}; expected a CSV file") from None


def _number(text: str | None) -> float | None:
    """Whole ones as such; None for what is not one."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return int(number) if number.is_integer() else number
