"""What the demo shows at its end: each round's figures, judged twice, by the ratings and by what `inspect` says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from alignment import overview, steps
from alignment.evaluation.outcomes import Result, Tally, one_per_family
from alignment.overview import RoundOverview
from alignment.project import Project
from feedback.config import Strict
from feedback.ids import PolicyId
from feedback.intervals import clopper_pearson
from feedback.jsonl import read_rows
from feedback.measures import Figure, Measured, Unscored
from feedback.schemas import Completion, Prompt, VerdictValue
from feedback.simulation import Judged

Oracle = Callable[[str, str], Judged]
"""(question, answer) -> the truth about it."""

NONE = Unscored(reason="no audit answers of this round")


class DemoRow(Strict):
    """One round. Shares are 0 to 1, of the audit's held-out families; `oracle_` ones are exact judgements by `inspect`."""

    round: int
    policy: PolicyId | None
    reviewed: int | None
    promoted: bool
    shipped: bool
    hallucination_rate: Figure
    correct_rate: Figure
    abstention_rate: Figure
    right_abstention_rate: Figure
    oracle_hallucination_rate: Figure
    oracle_correct_rate: Figure
    oracle_abstention_rate: Figure
    oracle_right_abstention_rate: Figure
    accuracy: Figure
    tone: Figure
    safety: Figure
    win_rate: Figure
    decision: str | None
    """What the advance gate said; None in round 0."""


RATED = ("hallucination_rate", "correct_rate", "abstention_rate", "right_abstention_rate", "accuracy", "tone", "safety")


def demo_rows(project: Project, oracle: Oracle) -> list[DemoRow]:
    """A row for each judged round."""
    judged = [row for row in overview.overview(project.folder) if row.report is not None]
    return [_row(row, project.round(row.number) / steps.SAMPLES, oracle) for row in judged]


def _row(row: RoundOverview, samples: Path, oracle: Oracle) -> DemoRow:
    figures = {name: row.figure(name) for name in RATED}
    return DemoRow(round=row.number, policy=row.policy, reviewed=row.reviewed, promoted=row.promoted, shipped=row.shipped,
                   win_rate=row.win_rate, decision=row.advance.outcome if row.advance else None, **figures,
                   **_oracle_figures(samples, oracle))


def _oracle_figures(samples: Path, oracle: Oracle) -> dict[str, Figure]:
    prompts = {prompt.id: prompt for prompt in read_rows(samples / "prompts.jsonl", Prompt)}
    answers = read_rows(samples / "completions.jsonl", Completion)
    counted = one_per_family((answer.prompt_id, prompts[answer.prompt_id].family) for answer in answers)
    judged = [(prompts[answer.prompt_id], _result(prompts[answer.prompt_id], answer.text, oracle))
              for answer in answers if answer.prompt_id in counted]
    everything = Tally.of(result for _, result in judged)
    unanswerable = Tally.of(result for prompt, result in judged if not prompt.answerable)
    return {"oracle_hallucination_rate": _share(everything, [Result.HALLUCINATED]),
            "oracle_correct_rate": _share(everything, [Result.CORRECT]),
            "oracle_abstention_rate": _share(everything, [Result.ABSTAINED_RIGHTLY, Result.ABSTAINED_WRONGLY]),
            "oracle_right_abstention_rate": _share(unanswerable, [Result.ABSTAINED_RIGHTLY])}


def _share(tally: Tally, results: Iterable[Result]) -> Figure:
    return clopper_pearson(tally.count(*results), tally.n) if tally.n else NONE


def _result(prompt: Prompt, text: str, oracle: Oracle) -> Result:
    """The truth about an answer in the words of the audit."""
    truth = oracle(prompt.text, text)
    # First, as in the audit: an answer that says something false is a hallucination whatever else it says.
    if truth.hallucinated:
        return Result.HALLUCINATED
    if truth.abstains:
        return Result.ABSTAINED_WRONGLY if prompt.answerable else Result.ABSTAINED_RIGHTLY
    return {VerdictValue.CORRECT: Result.CORRECT, VerdictValue.PARTIALLY_CORRECT: Result.PARTIALLY_CORRECT,
            VerdictValue.INCORRECT: Result.INCORRECT, VerdictValue.CANNOT_TELL: Result.UNDECIDED}[truth.verdict]


def as_json(rows: Sequence[DemoRow], *, wall_seconds: float, split: dict[str, float]) -> dict[str, Any]:
    """The demo's figures for a program; a figure that does not exist is null."""
    return {"rounds": [{name: _plain(value) for name, value in row} for row in rows], "wall_seconds": round(wall_seconds, 1),
            "split_seconds": split}


def _plain(value: object) -> object:
    match value:
        case Measured():
            return {"value": value.value, "n": value.n, "low": value.low, "high": value.high}
        case Unscored():
            return None
        case _:
            return value


COLUMNS = ("round", "reviewed", "hallucinated", "by inspect", "correct", "by inspect", "abstains", "rightly, of unanswerable",
           "accuracy", "tone", "safety", "win rate", "decision", "promoted")


def cells(row: DemoRow) -> tuple[str, ...]:
    """One row for `COLUMNS`."""
    shares = [_percent(figure) for figure in (
        row.hallucination_rate, row.oracle_hallucination_rate, row.correct_rate, row.oracle_correct_rate, row.abstention_rate,
        row.right_abstention_rate)]
    means = [f"{figure.value:.2f}" if isinstance(figure, Measured) else "-" for figure in (row.accuracy, row.tone, row.safety)]
    return (str(row.round), str(row.reviewed or "-"), *shares, *means, _percent(row.win_rate), row.decision or "the base",
            "yes" if row.promoted else "no")


def told(rows: Sequence[DemoRow]) -> str:
    """The table in words: what became of the hallucinations, by `inspect`, and of the rounds that were not promoted."""
    champion = max((row for row in rows if row.promoted), key=lambda row: row.round, default=rows[0])
    held = [f"round {row.round} ({row.decision})" for row in rows if not row.promoted and row.decision is not None]
    rates = [f"{_percent(row.oracle_hallucination_rate)} of the answers {said}" for row, said in (
        (rows[0], "before the first round"), (champion, f"of round {champion.round}"))]
    lines = [f"Hallucinated, by inspect: {' -> '.join(rates)}, which is the model that stands now."]
    if champion.round == 0:
        lines = [f"Hallucinated, by inspect: {rates[0]}; no round was promoted, and the base stands."]
    if held:
        lines.append(f"Not promoted, because its audit did not show it to be better: {', '.join(held)}.")
    return "\n".join(lines)


def _percent(figure: Figure) -> str:
    if not isinstance(figure, Measured):
        return "-"
    return f"{100 * figure.value:.0f}% [{100 * figure.low:.0f}, {100 * figure.high:.0f}]"
