"""JSON Lines: one value per line, every bad line reported, written in one spelling."""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from feedback.config import describe
from feedback.errors import InvalidInput
from feedback.ids import canonical_json

Row = TypeVar("Row", bound=BaseModel)

MOST_PROBLEMS = 100
"""Bad lines spelt out in one error; the rest are counted."""


def read_rows(path: Path, row: type[Row]) -> list[Row]:
    """Every line as a `row`, in file order; empty lines are passed over.

    Raises InvalidInput naming the file and every line that is not one, so that nothing is half imported.
    """
    return [value for _, value in read_numbered(path, row)]


def read_numbered(path: Path, row: type[Row]) -> list[tuple[int, Row]]:
    """`read_rows`, each with its line number from 1."""
    rows: list[tuple[int, Row]] = []
    problems: list[str] = []
    for number, value in numbered_values(path, problems):
        try:
            rows.append((number, row.model_validate(value)))
        except ValidationError as error:
            problems += [f"{path}:{number}: {text}" for text in describe(error, row)]
    raise_problems(problems)
    return rows


def numbered_values(path: Path, problems: list[str]) -> Iterator[tuple[int, Any]]:
    """(line number from 1, value) for every line that is JSON; the others are appended to `problems`."""
    for number, line in enumerate(_bytes(path).removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, _value(line)
        except UnicodeDecodeError as error:
            problems.append(f"{path}:{number}: not UTF-8 (byte {error.start} of the line); save the file as UTF-8")
        except json.JSONDecodeError as error:
            problems.append(f"{path}:{number}: not JSON ({error.msg} at column {error.colno}); one JSON object per line")
        except UnicodeEncodeError as error:
            half = error.object[error.start]
            problems.append(f"{path}:{number}: holds {half!r}, half of a character, which no file can hold; write the whole one")
        except (RecursionError, ValueError):
            problems.append(f"{path}:{number}: too deep, or a number of too many digits; one plain JSON object per line")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InvalidInput(f"{path}: no such file; expected one JSON object per line") from None
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}; expected a file of one JSON object per line") from None


def _value(line: bytes) -> Any:
    value = json.loads(line.decode("utf-8"))
    if b"\\ud" in line.lower():
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # refuses half a character, which "\\ud800" may stand for
    return value


def raise_problems(problems: list[str]) -> None:
    """Raise InvalidInput with the problems, at most MOST_PROBLEMS of them spelt out; return when there are none."""
    if not problems:
        return
    left_out = len(problems) - MOST_PROBLEMS
    raise InvalidInput(problems[:MOST_PROBLEMS] + ([f"... and {left_out} more"] if left_out > 0 else []))


def write_rows(path: Path, rows: Iterable[BaseModel]) -> int:
    """Write the rows in canonical JSON and return how many there were. The file appears whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    count = 0
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(canonical_json(row.model_dump(mode="json")) + "\n")
            count += 1
    os.replace(partial, path)
    return count
