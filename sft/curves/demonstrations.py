"""The report of a run on demonstrations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from feedback.measures import Unscored
from feedback.terminal import note
from feedback.training_sets.rows import SftExample
from sft.curves.chart import chart
from sft.curves.checks import repeats, thrown_about, too_few
from sft.curves.curve import History, history_of
from sft.curves.report import CurvesReport, line, run_charts, sorted_outcomes, write_report

FEWEST_ROWS = 20
"""Demonstrations below which a run's curves say little."""


def report_demonstrations(folder: Path, log_history: Sequence[Mapping[str, Any]], examples: Sequence[SftExample]) -> None:
    """Write the report of a finished SFT run into `folder`, and say it in a paragraph."""
    history, said = history_of(log_history), [_said(row) for row in examples]
    findings, unsaid = sorted_outcomes({
        "learning_rate_too_high": thrown_about(history),
        "overfitting": Unscored(reason="no demonstration is set apart; the audit answers tell"),
        "duplicates": repeats(said, what="demonstrations"),
        "too_few": too_few(len(examples), fewest=FEWEST_ROWS, what="demonstrations")})
    report = CurvesReport(stage="sft", steps=history.steps, counts={"demonstrations": len(examples)}, findings=findings,
                          unsaid=unsaid, figures=_ended(history), curves=dict(history.curves))
    write_report(folder, report, title="SFT: how the training went", charts=[
        chart("Loss", [line(history, "loss", "trained on")], hint="per token of the answers"),
        chart("Token accuracy", [line(history, "mean_token_accuracy", "accuracy")], hint="share of tokens that were likeliest"),
        chart("Entropy", [line(history, "entropy", "entropy", ink="third")], hint="nats per token; 0 is one answer only"),
        *run_charts(history)])
    note(report.paragraph)


def _said(row: SftExample) -> tuple[str, ...]:
    """Question and answer as words alone."""
    return tuple(" ".join(re.findall(r"\w+", text.casefold())) for text in (row.messages[-1].content, row.completion))


def _ended(history: History) -> dict[str, float]:
    """The means of the last quarter."""
    shown = {"loss": "loss", "token_accuracy": "mean_token_accuracy", "entropy": "entropy"}
    return {label: history.get(name).mean(0.75, 1) for label, name in shown.items() if history.get(name).values}
