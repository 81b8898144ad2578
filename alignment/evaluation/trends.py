"""The figures over the rounds: one row per evaluated candidate, for the console, the command line and the demo's table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from alignment.evaluation.report import Report, read_report
from feedback.config import Strict
from feedback.ids import PolicyId
from feedback.lineage import MANIFEST
from feedback.measures import Figure


class TrendRow(Strict):
    """One round's candidate. Round 0 is the base. Figures as in `PolicyFigures`."""

    round: int
    policy_id: PolicyId
    reviewed: int
    """Reviewed audit answers, one of each family."""
    unreviewed: int
    hallucination_rate: Figure
    correct_rate: Figure
    abstention_rate: Figure
    right_abstention_rate: Figure
    wrong_abstention_rate: Figure
    undecided_rate: Figure
    critical_hallucination_rate: Figure
    criteria: dict[str, Figure]
    """Mean rating by criterion."""
    win_rate: Figure
    """Against the champion of that round."""
    rouge_l: Figure
    people: int
    simulated: int
    """Simulated reviewers among those who judged."""


COPIED = ("policy_id", "hallucination_rate", "correct_rate", "abstention_rate", "right_abstention_rate", "wrong_abstention_rate",
          "undecided_rate", "critical_hallucination_rate", "criteria", "rouge_l")


def trend(reports: Iterable[tuple[int, Report]]) -> list[TrendRow]:
    """A row for each (round, report), in the order of the rounds."""
    return [_row(number, report) for number, report in sorted(reports, key=lambda pair: pair[0])]


def _row(number: int, report: Report) -> TrendRow:
    figures = {name: getattr(report.candidate, name) for name in COPIED}
    answers, reviewers = report.candidate.answers, report.reviewers
    return TrendRow(round=number, reviewed=answers.n, unreviewed=answers.unreviewed, win_rate=report.win_rate,
                    people=reviewers.people, simulated=reviewers.simulated, **figures)


def read_trend(evaluations: Mapping[int, Path]) -> list[TrendRow]:
    """The rows of the finished ones among the rounds' evaluation folders; empty where there is none yet."""
    return trend((number, read_report(folder)) for number, folder in evaluations.items() if (folder / MANIFEST).exists())
