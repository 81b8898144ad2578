"""What the console reads from a project: each round's overview as a row of its page."""

from __future__ import annotations

from pathlib import Path

from alignment.overview import RoundOverview, overview
from alignment.project import Project
from review_ui.console.pages import GateLine, RoundRow
from review_ui.console.reports import ReportLink, reports_of


def round_rows(project_dir: Path) -> tuple[RoundRow, ...]:
    """The rounds of a project, rising; none for a project that has not begun. Raises RedpenError when it cannot be read."""
    project = Project.at(project_dir)
    return tuple(row_of(round, reports_of(project.round(round.number))) for round in overview(project_dir))


def row_of(round: RoundOverview, reports: tuple[ReportLink, ...] = ()) -> RoundRow:
    """One round as the page shows it."""
    asked = [gate for gate in (round.advance, round.ship) if gate is not None]
    return RoundRow(number=round.number, state=round.state, policy=round.policy, reviewed=round.reviewed,
                    hallucination=round.figure("hallucination_rate"), correct=round.figure("correct_rate"),
                    abstention=round.figure("abstention_rate"), promoted=round.promoted, shipped=round.shipped,
                    gates=tuple(GateLine(gate.gate, gate.outcome, gate.reasons) for gate in asked),
                    simulated=round.report is not None and round.report.reviewers.simulated > 0, reports=reports)
