"""What each page shows: one frozen value per page, made from what the rounds left on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from feedback.measures import Figure, Measured, Unscored
from review_ui.console.reports import ReportLink
from review_ui.console.trend import Panel, TrendPoint, panel, percent

NO_FIGURE = "\N{EN DASH}"
"""Stands where there is no figure. Never a zero."""


@dataclass(frozen=True, slots=True)
class GateLine:
    """What one gate said about a round's candidate."""

    name: str
    """`advance` or `ship`."""
    outcome: str
    """`pass`, `hold` or `not enough data`."""
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoundRow:
    """One round, as the rounds page shows it."""

    number: int
    state: str
    """Where it stands: `done`, `waiting: 163 reviews`, ..."""
    policy: str | None
    """The policy it judges: the candidate, or the base in round 0."""
    reviewed: int | None
    """Answers of it that people have reviewed."""
    hallucination: Figure
    correct: Figure
    abstention: Figure
    gates: tuple[GateLine, ...]
    """Empty before they were asked. Round 0 judges the base alone, so only the ship gate is asked."""
    promoted: bool
    """It became champion. Round 0's base is champion from the start."""
    shipped: bool
    simulated: bool
    """Simulated reviewers are among those who judged it."""
    reports: tuple[ReportLink, ...] = ()
    """Pages that its steps left."""

    @property
    def why_no_figures(self) -> str | None:
        """The one reason why none of the three shares has a figure; None when one has, or when the reasons differ."""
        figures = (self.hallucination, self.correct, self.abstention)
        reasons = {figure.reason if isinstance(figure, Unscored) else None for figure in figures}
        return reasons.pop() if len(reasons) == 1 else None


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure in a table: what stands large, and what stands small under it."""

    value: str
    detail: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One fact at the head of the page."""

    name: str
    value: str
    detail: str


@dataclass(frozen=True, slots=True)
class RoundsPage:
    """The rounds and the trend."""

    template: ClassVar[str] = "rounds.html"
    project: str
    """The project folder's name."""
    rows: tuple[RoundRow, ...]
    """Newest first."""
    tiles: tuple[Tile, ...]
    panels: tuple[Panel, ...]
    warning: str | None
    """What must be known before a figure is read."""
    notes: tuple[str, ...]
    """How the figures are to be read."""


@dataclass(frozen=True, slots=True)
class ProblemPage:
    """Something in the project cannot be read."""

    template: ClassVar[str] = "problem.html"
    project: str
    problems: tuple[str, ...]


def rounds_page(project: str, rows: Sequence[RoundRow]) -> RoundsPage:
    """The page of a project's rounds, which may be none. `rows`: rising."""
    return RoundsPage(project=project, rows=tuple(reversed(rows)), tiles=_tiles(rows), panels=_panels(rows),
                      warning=_warning(rows), notes=_notes(rows))


def cell(figure: Figure) -> Cell:
    """A share as a table shows it; without one, a dash and the reason."""
    if not isinstance(figure, Measured):
        return Cell(NO_FIGURE, figure.reason)
    return Cell(percent(figure.value), f"{percent(figure.low)} to {percent(figure.high)}, n = {figure.n}")


def short_policy(policy: str) -> str:
    """A policy id short enough for a table: its kind and eight digits."""
    kind, _, digits = policy.partition("-")
    return f"{kind}-{digits[:8]}"


def _tiles(rows: Sequence[RoundRow]) -> tuple[Tile, ...]:
    if not rows:
        return ()
    champion = next((row for row in reversed(rows) if row.promoted and row.policy), None)
    now = rows[-1]
    short, _, how = now.state.partition(" (")
    state = Tile(f"Round {now.number}", short, how.rstrip(")") or f"{len(rows)} round{'s' if len(rows) > 1 else ''} so far")
    if champion is None or champion.policy is None:
        return (state,)
    shipped = next((row for row in reversed(rows) if row.shipped), None)
    figures = [Tile(f"Champion {verb}", (shown := cell(figure)).value, shown.detail)
               for verb, figure in (("hallucinates", champion.hallucination), ("is correct", champion.correct))]
    return (state, Tile("Champion", short_policy(champion.policy), f"from round {champion.number}"), *figures,
            Tile("Shipped", f"round {shipped.number}" if shipped else "none yet", "ship gate passed and approved" if shipped
                 else "needs the ship gate and a lead"))


def _panels(rows: Sequence[RoundRow]) -> tuple[Panel, ...]:
    def points(name: str) -> list[TrendPoint]:
        return [TrendPoint(row.number, getattr(row, name), row.promoted) for row in rows]

    return (panel("hallucination", "Hallucinated", hint="lower is better", points=points("hallucination")),
            panel("correct", "Correct", hint="higher is better", points=points("correct")),
            panel("abstention", "Abstains", hint="read beside the other two", points=points("abstention")))


def _warning(rows: Sequence[RoundRow]) -> str | None:
    simulated = [str(row.number) for row in rows if row.simulated]
    if not simulated:
        return None
    return (f"Simulated reviewers (programs, named sim-...) judged answers of round{'s' if len(simulated) > 1 else ''} "
            f"{', '.join(simulated)}. These figures say nothing about what people think.")


def _notes(rows: Sequence[RoundRow]) -> tuple[str, ...]:
    figures = [figure for row in rows for figure in (row.hallucination, row.correct, row.abstention)]
    methods = sorted({f"{figure.level * 100:.3g}% {figure.method}" for figure in figures if isinstance(figure, Measured)})
    if not methods:
        return ()
    return (f"Intervals: {', '.join(methods)}.",
            "Shares of the reviewed audit answers, which come from held-out and critical questions and are never trained on.")
