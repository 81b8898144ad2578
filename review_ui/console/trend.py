"""The trend as a picture: one panel per share, a point with its interval for every round. Pure geometry; a template draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from feedback.measures import Figure, Measured, Unscored

WIDTH, HEIGHT = 400, 190
LEFT, RIGHT, TOP, BOTTOM = 44, 20, 22, 26
CAP = 5
"""Half the width of an interval's end stroke. All lengths are in the units of the SVG's view box."""
MOST_LABELS = 12
"""Rounds named on the horizontal axis; with more rounds, every second or third is named."""
TOPS = {0.05: 5, 0.1: 5, 0.2: 4, 0.5: 5, 1.0: 4}
"""Where a share's axis may end, and into how many parts it is then cut. It always starts at 0."""


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """What one round contributes to a panel."""

    round: int
    figure: Figure
    promoted: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """A point and its interval, in view box units."""

    x: float
    y: float
    low_y: float
    high_y: float
    promoted: bool
    label: str
    """The value, written beside the point."""
    text: str
    """The whole figure in words, for the tooltip and for readers that do not see the picture."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line between two marks."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: a share over the rounds."""

    key: str
    """Names the panel in the page and in its colours."""
    title: str
    hint: str
    """Which direction is good."""
    description: str
    """Everything the picture shows, in words."""
    marks: tuple[Mark, ...]
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM
    cap: int = CAP


def percent(share: float) -> str:
    """A share of 0 to 1 as a percentage: two decimals below 1 %, one below 10 %, none from there."""
    value = share * 100
    decimals = 0 if value == 0 or value >= 9.95 else 1 if value >= 0.995 else 2
    return f"{value:.{decimals}f}%"


def in_words(figure: Figure) -> str:
    """A share with its interval and count, or the reason why there is none."""
    match figure:
        case Measured():
            level = f"{figure.level * 100:.3g}% interval"
            return f"{percent(figure.value)}, {level} {percent(figure.low)} to {percent(figure.high)}, n = {figure.n}"
        case Unscored():
            return f"no figure: {figure.reason}"


def panel(key: str, title: str, *, hint: str, points: Sequence[TrendPoint]) -> Panel:
    """The picture of one share. Rounds without a figure leave a gap; with none at all the picture is empty axes."""
    measured = [(point, point.figure) for point in points if isinstance(point.figure, Measured)]
    top = next(end for end in TOPS if end >= min(1.0, max((figure.high for _, figure in measured), default=1.0)))
    columns = _columns([point.round for point in points])
    marks = {point.round: _mark(point, figure, columns[point.round], top) for point, figure in measured}
    lines = tuple(Line(marks[a.round].x, marks[a.round].y, marks[b.round].x, marks[b.round].y)
                  for a, b in pairwise(points) if a.round in marks and b.round in marks)
    description = "; ".join(f"round {point.round}: {in_words(point.figure)}" for point in points) or "no round yet"
    return Panel(key=key, title=title, hint=hint, description=description, marks=tuple(marks.values()), lines=lines,
                 x_ticks=_x_ticks(columns), y_ticks=_y_ticks(top))


def _mark(point: TrendPoint, figure: Measured, x: float, top: float) -> Mark:
    return Mark(x=x, y=_y(figure.value, top), low_y=_y(figure.low, top), high_y=_y(figure.high, top), promoted=point.promoted,
                label=percent(figure.value), text=f"Round {point.round}: {in_words(figure)}")


def _columns(rounds: Sequence[int]) -> dict[int, float]:
    """The horizontal place of each round: evenly spread, a single one in the middle."""
    step = (WIDTH - LEFT - RIGHT) / max(len(rounds), 1)
    return {number: round(LEFT + step * (place + 0.5), 1) for place, number in enumerate(rounds)}


def _x_ticks(columns: dict[int, float]) -> tuple[Tick, ...]:
    every = -(-len(columns) // MOST_LABELS) or 1
    return tuple(Tick(x, str(number)) for place, (number, x) in enumerate(columns.items()) if place % every == 0)


def _y_ticks(top: float) -> tuple[Tick, ...]:
    shares = [top * part / TOPS[top] for part in range(TOPS[top] + 1)]
    return tuple(Tick(_y(share, top), f"{share * 100:.3g}%") for share in shares)


def _y(share: float, top: float) -> float:
    inner = HEIGHT - TOP - BOTTOM
    return round(TOP + inner * (1 - min(share, top) / top), 1)
