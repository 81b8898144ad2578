"""What commands print: results on stdout, progress and errors on stderr, JSON for machines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

Value = TypeVar("Value")

LONG_SECONDS = 5.0
"""What takes longer is told where no progress bar can be drawn."""


def print_json(value: Any) -> None:
    """One JSON document on stdout; pydantic models are dumped."""
    sys.stdout.write(json.dumps(value, default=_jsonable, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _jsonable(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return str(value)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """A table on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def note(text: str) -> None:
    """A line for the person at the terminal, on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@contextmanager
def progress(title: str, *, total: int | None = None) -> Iterator[Callable[..., None]]:
    """A progress bar on stderr. Call what you get with how many steps were done, as `advance()` or `advance(3)`.

    Where stderr is not a terminal nothing is drawn, and what took long is told in one line at its end.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    started = time.monotonic()
    with Progress(*columns, console=console, transient=False, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda steps=1: bar.advance(task, steps)
    seconds = time.monotonic() - started
    if not console.is_terminal and seconds > LONG_SECONDS:
        note(f"{title}: done in {seconds:.0f} s")


def tracked(values: Sequence[Value], title: str) -> Iterator[Value]:
    """The values, with a progress bar."""
    with progress(title, total=len(values)) as advance:
        for value in values:
            yield value
            advance()
