"""Curves as pictures. Pure geometry in the units of an SVG's view box; a template draws it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

WIDTH, HEIGHT = 400, 210
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 14, 30
MOST_TICKS = 5
Ink = Literal["loud", "soft", "third"]


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or a cloud of points, of a chart."""

    label: str
    points: tuple[tuple[float, float], ...]
    """(x, y), x rising for a line."""
    ink: Ink = "loud"
    dots: bool = False
    """Points that are not joined."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A series in view box units."""

    label: str
    ink: Ink
    path: str
    """SVG path of a line; empty for dots."""
    dots: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture."""

    title: str
    hint: str
    """What is good, or how it is to be read."""
    description: str
    """What the picture shows, in words."""
    series: tuple[Drawn, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_title: str
    line_at: float | None
    """Height of a value to compare with; None without one."""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def chart(title: str, series: Sequence[Series], *, hint: str, x_title: str = "step",
          compare: float | None = None) -> Chart | None:
    """The picture of some series; None when there is nothing to draw. `compare`: a value drawn as a line across."""
    drawn = [each for each in series if each.points]
    if not drawn:
        return None
    xs = [x for each in drawn for x, _ in each.points]
    ys = [y for each in drawn for _, y in each.points] + ([] if compare is None else [compare])
    across, up = _Axis.of(xs, LEFT, WIDTH - RIGHT), _Axis.of(ys, HEIGHT - BOTTOM, TOP)
    return Chart(title=title, hint=hint, description=_in_words(drawn), x_title=x_title,
                 series=tuple(_draw(each, across, up) for each in drawn), x_ticks=across.ticks(), y_ticks=up.ticks(),
                 line_at=None if compare is None else up.place(compare))


def _in_words(series: Sequence[Series]) -> str:
    return "; ".join(f"{each.label}: {len(each.points)} points" if each.dots else
                     f"{each.label}: from {short(each.points[0][1])} to {short(each.points[-1][1])}" for each in series)


def _draw(series: Series, across: _Axis, up: _Axis) -> Drawn:
    places = tuple((across.place(x), up.place(y)) for x, y in series.points)
    joined = not series.dots and len(places) > 1
    path = "M" + "L".join(f"{x} {y}" for x, y in places) if joined else ""
    return Drawn(label=series.label, ink=series.ink, path=path, dots=() if joined else places)


@dataclass(frozen=True, slots=True)
class _Axis:
    """Values to places: linear, from a round number to a round number."""

    low: float
    high: float
    step: float
    start: float
    end: float

    @classmethod
    def of(cls, values: Sequence[float], start: float, end: float) -> _Axis:
        low, high = min(values), max(values)
        if high - low < 1e-9 * max(1.0, abs(high)):
            low, high = low - 0.5, high + 0.5
        step = _round_step((high - low) / MOST_TICKS)
        return cls(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step, start, end)

    def place(self, value: float) -> float:
        return round(self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low), 1)

    def ticks(self) -> tuple[Tick, ...]:
        values = [self.low + number * self.step for number in range(round((self.high - self.low) / self.step) + 1)]
        return tuple(Tick(self.place(value), short(0.0 if abs(value) < self.step / 1e6 else value)) for value in values)


def _round_step(least: float) -> float:
    """The smallest 1, 2 or 5 times a power of ten that is at least so large."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def short(value: float) -> str:
    """A number as an axis shows it."""
    if value != 0 and (abs(value) >= 1e5 or abs(value) < 1e-3):
        return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")
