"""A report as Markdown: the same figures, for people who read files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from alignment.evaluation.figures import PolicyFigures
from alignment.evaluation.win_rate import Comparison
from feedback.measures import Figure, Measured, Unscored

SHARES = {"hallucination_rate": "hallucinated", "correct_rate": "correct", "partially_correct_rate": "partially correct",
          "incorrect_rate": "incorrect", "abstention_rate": "abstains",
          "right_abstention_rate": "abstains on unanswerable questions",
          "wrong_abstention_rate": "abstains on answerable questions", "undecided_rate": "undecided",
          "critical_hallucination_rate": "critical questions: hallucinated, incorrect or undecided"}


def as_markdown(policies: Sequence[tuple[str, PolicyFigures]], comparison: Comparison | None, *, people: int,
                simulated: int) -> str:
    """The figures of (role, policy) columns, then the comparison. Ends with a line feed."""
    parts = (_heading(people, simulated), _table(policies), _notes(policies), _paired(comparison), _slices(policies))
    return "\n".join(line for part in parts for line in part) + "\n"


def shown(figure: Figure, *, percent: bool) -> str:
    """A figure in a cell: value, interval and n; or why there is none."""
    match figure:
        case Measured():
            value, low, high = ((f"{100 * part:.1f}" if percent else f"{part:.2f}")
                                for part in (figure.value, figure.low, figure.high))
            return f"{value}{' %' if percent else ''} ({low} to {high}, n = {figure.n})"
        case Unscored():
            return f"- ({figure.reason})"
        case _:
            assert_never(figure)


def _heading(people: int, simulated: int) -> Iterator[str]:
    yield "# Evaluation\n"
    by = f"{people} people" + (f" and {simulated} **simulated** reviewers" if simulated else "")
    yield f"Judged by {by}. Intervals at 95 %; one answer of each question family; undecided answers stay in every n.\n"


def _table(policies: Sequence[tuple[str, PolicyFigures]]) -> Iterator[str]:
    yield "| | " + " | ".join(f"{role} `{figures.policy_id}`" for role, figures in policies) + " |"
    yield "|---" * (len(policies) + 1) + "|"
    for field, title in SHARES.items():
        yield _row(title, [getattr(figures, field) for _, figures in policies], percent=True)
    for name in sorted({name for _, figures in policies for name in figures.criteria}):
        missing = Unscored(reason="not asked")
        yield _row(f"{name} (mean rating)", [figures.criteria.get(name, missing) for _, figures in policies], percent=False)
    yield _row("ROUGE-L", [figures.rouge_l for _, figures in policies], percent=False)


def _row(title: str, figures: Sequence[Figure], *, percent: bool) -> str:
    return f"| {title} | " + " | ".join(shown(figure, percent=percent) for figure in figures) + " |"


def _notes(policies: Sequence[tuple[str, PolicyFigures]]) -> Iterator[str]:
    for role, figures in policies:
        if waiting := figures.answers.unreviewed:
            yield f"\n{waiting} audited answers of the {role} have no review yet and are in no figure above."


def _paired(comparison: Comparison | None) -> Iterator[str]:
    if comparison is None:
        return
    good, false = comparison.good, comparison.hallucinated
    yield f"\n## The same {good.pairs} prompts\n"
    yield f"* Win rate {shown(comparison.win_rate, percent=True)}: {comparison.wins} won, {comparison.losses} lost, " \
          f"{comparison.ties} tied; sign test p = {comparison.win_p_value:.2g}."
    yield f"* Good answers: {good.gained} gained, {good.lost} lost. Hallucinations: {false.gained} new, {false.lost} gone."
    yield f"* {comparison.undecided} pairs hold an undecided answer, {comparison.unreviewed} an answer without a review."


def _slices(policies: Sequence[tuple[str, PolicyFigures]]) -> Iterator[str]:
    for role, figures in policies:
        if not figures.slices:
            continue
        yield f"\n## By topic: {role}\n\n| topic | hallucinated | correct | |\n|---|---|---|---|"
        for part in figures.slices:
            false, correct = shown(part.hallucination_rate, percent=True), shown(part.correct_rate, percent=True)
            yield f"| {part.topic} | {false} | {correct} | {part.warning or ''} |"
