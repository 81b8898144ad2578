"""Every round at a glance: what it judged, the figures, what was decided. Reads finished folders, changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alignment import registry, rounds, steps
from alignment.evaluation.report import Report, read_report
from alignment.gates import Gate
from alignment.project import Project
from feedback.config import Strict
from feedback.errors import InvalidInput, NothingToDo
from feedback.ids import PolicyId
from feedback.lineage import MANIFEST
from feedback.measures import Figure, Measured, Unscored


class RoundOverview(Strict):
    """One round."""

    number: int
    state: str
    """`done`, or what it waits for."""
    report: Report | None
    """Of its candidate, in round 0 of the base. None before its audit was evaluated."""
    decision: rounds.Decision | None
    """None before the gates were asked."""
    promoted: bool
    """It became champion; round 0's base is champion from the start."""
    shipped: bool

    @property
    def policy(self) -> PolicyId | None:
        """What it judges."""
        return self.report.candidate.policy_id if self.report else None

    @property
    def reviewed(self) -> int | None:
        """Audit answers that people have reviewed, one of each family."""
        return self.report.candidate.answers.n if self.report else None

    @property
    def win_rate(self) -> Figure:
        """Against the champion of that round."""
        return self.report.win_rate if self.report else NOT_YET

    @property
    def advance(self) -> Gate | None:
        """What the advance gate said; None in round 0 and before it was asked."""
        return self.decision.advance if self.decision else None

    @property
    def ship(self) -> Gate | None:
        """What the ship gate said."""
        return self.decision.ship if self.decision else None

    def figure(self, name: str) -> Figure:
        """A share by its name in `PolicyFigures`, or a criterion's mean; Unscored before the evaluation."""
        if self.report is None:
            return NOT_YET
        figures = self.report.candidate
        if name in figures.criteria:
            return figures.criteria[name]
        found: Figure = getattr(figures, name, Unscored(reason=f"the rubric has no criterion {name}"))
        return found


NOT_YET = Unscored(reason="not evaluated yet")


def overview(folder: Path) -> list[RoundOverview]:
    """Every round of the project in `folder`, rising; empty before the first."""
    project = Project.at(folder)
    if not project.round_numbers:
        return []
    with project.open_store() as store:
        promoted = {0} | {event.payload["round"] for event in store.events(registry.PROMOTION)}
        shipped = {event.payload["round"] for event in store.events(registry.SHIPMENT)}
    newest, state = project.round_numbers[-1], _state(project)
    return [RoundOverview(number=number, state=state if number == newest else "done", report=_report(project.round(number)),
                          decision=_decision(project.round(number)), promoted=number in promoted, shipped=number in shipped)
            for number in project.round_numbers]


def _state(project: Project) -> str:
    try:
        return str(rounds.standing(project))
    except NothingToDo as error:
        return str(error)


def _report(folder: Path) -> Report | None:
    return read_report(folder / steps.EVALUATION) if (folder / steps.EVALUATION / MANIFEST).exists() else None


def _decision(folder: Path) -> rounds.Decision | None:
    return rounds.read_decision(folder / steps.DECISION) if (folder / steps.DECISION / MANIFEST).exists() else None


def gates_of(project: Project, number: int | None) -> list[Gate]:
    """What the gates said of a round, or of the newest judged one. Raises InvalidInput when there is none."""
    judged = [n for n in project.round_numbers if (project.round(n) / steps.DECISION / MANIFEST).exists()]
    chosen = number if number is not None else max(judged, default=None)
    if chosen not in judged:
        raise InvalidInput(f"{project.rounds}: no decision for round {chosen}; judged so far: {judged or 'none'}")
    decision = rounds.read_decision(project.round(chosen) / steps.DECISION)
    return [gate for gate in (decision.advance, decision.ship) if gate is not None]


SHOWN = ("hallucination_rate", "correct_rate", "abstention_rate", "accuracy", "tone", "safety")
COLUMNS = ("round", "policy", "reviewed", "hallucinated", "correct", "abstains", "accuracy", "tone", "safety", "win rate",
           "advance", "ship", "promoted", "state")


def cells(row: RoundOverview) -> Sequence[str]:
    """One round as cells for `COLUMNS`."""
    figures = [_short(row.figure(name), share=name.endswith("_rate")) for name in SHOWN]
    said = [gate.outcome if gate else "-" for gate in (row.advance, row.ship)]
    return (str(row.number), row.policy or "-", str(row.reviewed or "-"), *figures, _short(row.win_rate, share=True), *said,
            "yes" if row.promoted else "no", row.state)


def _short(figure: Figure, *, share: bool) -> str:
    if not isinstance(figure, Measured):
        return "-"
    if share:
        return f"{100 * figure.value:.1f}% [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"
    return f"{figure.value:.2f} [{figure.low:.2f}, {figure.high:.2f}]"
