"""The report beside an adapter: report.json for programs, report.html for people, a paragraph for the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from feedback.config import Strict, validate
from feedback.errors import LineageError
from feedback.measures import Unscored
from sft.curves.chart import Chart, Ink, Series, chart
from sft.curves.curve import Curve, History
from sft.curves.finding import Finding, Outcome, Unsaid

HERE = Path(__file__).parent
JSON, HTML = "report.json", "report.html"


class GroupFigures(Strict):
    """One line of the table: rows of one origin, criterion, topic or length."""

    group: str
    """Such as `origin: ranking`."""
    rows: int
    figures: dict[str, float]
    """Column -> value."""


class CurvesReport(Strict):
    """`report.json`."""

    kind: Literal["curves"] = "curves"
    stage: str
    """`sft`, `dpo`, `reward` or `rl`."""
    steps: int
    counts: dict[str, int]
    """What was trained on and what was set apart."""
    findings: tuple[Finding, ...]
    """Diseases that were found, the gravest first. Empty: looked for and not found, but for what `unsaid` lists."""
    unsaid: tuple[Unsaid, ...]
    """Checks that could not be made."""
    figures: dict[str, float]
    """How the run ended, by name."""
    groups: tuple[GroupFigures, ...] = ()
    curves: dict[str, Curve]
    """Everything that was logged."""
    notes: tuple[str, ...] = ()
    """How the figures are to be read."""

    @property
    def paragraph(self) -> str:
        """The report in a few sentences."""
        counted = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in self.counts.items())
        ended = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in self.figures.items())
        found = " ".join(f"{finding.title}: {finding.advice[0]}" for finding in self.findings)
        said = found or ("Nothing was found wrong." if not self.unsaid else "Nothing was found wrong in what could be checked.")
        left = f" Not checked: {', '.join(unsaid.name.replace('_', ' ') for unsaid in self.unsaid)}." if self.unsaid else ""
        return f"{self.stage}: {self.steps} steps on {counted}; at the end {ended}. {said}{left}"


def sorted_outcomes(outcomes: Mapping[str, Outcome]) -> tuple[tuple[Finding, ...], tuple[Unsaid, ...]]:
    """What was found and what could not be said, in the order given: checks by name, the gravest first."""
    findings = tuple(outcome for outcome in outcomes.values() if isinstance(outcome, Finding))
    unsaid = tuple(Unsaid(name=name, reason=outcome.reason) for name, outcome in outcomes.items()
                   if isinstance(outcome, Unscored))
    return findings, unsaid


@dataclass(frozen=True, slots=True)
class Page:
    """What the template shows."""

    title: str
    report: CurvesReport
    charts: tuple[Chart, ...]


def write_report(folder: Path, report: CurvesReport, *, title: str, charts: Sequence[Chart | None]) -> None:
    """Write report.json and report.html into `folder`. The page needs nothing from elsewhere: no script, no font."""
    (folder / JSON).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    page = Page(title=title, report=report, charts=tuple(each for each in charts if each is not None))
    (folder / HTML).write_text(rendered(page), encoding="utf-8")


def rendered(page: Page) -> str:
    """The page as HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("report.html").render(page=page, style=(HERE / "templates" / "report.css").read_text("utf-8"))


def read_report(folder: Path) -> CurvesReport:
    """The report of a finished stage. Raises LineageError when there is none or it cannot be read."""
    path = folder / JSON
    try:
        return validate(json.loads(path.read_text(encoding="utf-8")), CurvesReport, source=str(path))
    except (OSError, ValueError) as error:
        raise LineageError(f"{path}: no report that can be read ({error}); run the stage again") from None


def line(history: History, name: str, label: str, *, ink: Ink = "loud", scale: float = 1.0) -> Series:
    """A logged curve as a series of a chart."""
    curve = history.get(name)
    return Series(label, tuple((float(step), value * scale) for step, value in zip(curve.steps, curve.values, strict=True)), ink)


def run_charts(history: History) -> list[Chart | None]:
    """The pictures that every run has: the gradient's norm and the learning rate."""
    return [chart("Gradient norm", [line(history, "grad_norm", "norm")], hint="steady; a spike is a jump"),
            chart("Learning rate", [line(history, "learning_rate", "rate", ink="soft")], hint="as it was scheduled")]
