"""Requests timed in milliseconds, and what their 95th percentile should stay below."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from feedback.terminal import print_table

REQUESTS = 100
WARM_UP = 5


@dataclass(frozen=True)
class Timed:
    """One kind of request."""

    name: str
    n: int
    p50: float
    """Milliseconds."""
    p95: float
    wanted: float | None
    """Milliseconds that p95 should stay below."""


def timed(name: str, request: Callable[[int], Any], *, wanted: float | None, n: int = REQUESTS) -> Timed:
    """The same kind of request again and again, a few more times before to warm up; it is told its number."""
    for place in range(WARM_UP):
        request(n + place)
    return percentiles(name, [seconds(lambda place=place: request(place)) for place in range(n)], wanted)


def seconds(work: Callable[[], Any]) -> float:
    """What it took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def percentiles(name: str, taken: Iterable[float], wanted: float | None) -> Timed:
    """The row of a table for what many requests took, in seconds."""
    values = np.array(list(taken)) * 1000
    return Timed(name, len(values), float(np.percentile(values, 50)), float(np.percentile(values, 95)), wanted)


def rounded(rows: Iterable[Timed]) -> list[dict[str, Any]]:
    """For printing as JSON."""
    return [{**asdict(row), "p50": round(row.p50, 1), "p95": round(row.p95, 1)} for row in rows]


def show(rows: Iterable[dict[str, Any]], title: str) -> None:
    """For reading."""
    print_table(("request", "n", "p50 ms", "p95 ms", "wanted"),
                [(row["name"], row["n"], f"{row['p50']:.1f}", f"{row['p95']:.1f}", row["wanted"] or "-") for row in rows],
                title=title)
