"""A project's finished folders become rows: figures as they were evaluated, and none where there is no evaluation."""

from __future__ import annotations

from alignment.evaluation.report import EvaluationStage, Report, build
from alignment.gates import Gate
from alignment.overview import RoundOverview
from alignment.rounds import Decision
from feedback.ids import PolicyId
from feedback.measures import Unscored
from review_ui.console.reading import row_of

BASE = PolicyId("base-0123456789abcdef01234567")


def report() -> Report:
    """The report of a base none of whose answers is reviewed."""
    return build(EvaluationStage(candidate=BASE), [], [])


def gate(name: str) -> Gate:
    return Gate.model_validate({"gate": name, "outcome": "hold", "reasons": ["0 of 12"], "reviews_missing": None, "alpha": 0.05,
                                "figures": {}})


def overview(**changes: object) -> RoundOverview:
    empty = {"number": 1, "state": "waiting: 163 reviews", "report": None, "decision": None, "promoted": False, "shipped": False}
    return RoundOverview.model_validate(empty | changes)


def test_a_round_that_waits_has_no_figures_and_no_gates() -> None:
    row = row_of(overview())
    assert (row.policy, row.reviewed, row.gates) == (None, None, ())
    assert row.why_no_figures == "not evaluated yet"


def test_a_round_that_was_judged_shows_its_policy_and_what_each_gate_said() -> None:
    decision = Decision(round=1, candidate=BASE, champion=BASE, attempt=1, advance=gate("advance"), ship=gate("ship"))
    row = row_of(overview(report=report(), decision=decision))
    assert row.policy == BASE
    assert [(line.name, line.outcome, line.reasons) for line in row.gates] == [
        ("advance", "hold", ("0 of 12",)), ("ship", "hold", ("0 of 12",))]


def test_an_evaluation_without_reviewed_answers_gives_reasons_and_no_zeros() -> None:
    row = row_of(overview(report=report()))
    assert all(isinstance(figure, Unscored) for figure in (row.hallucination, row.correct, row.abstention))
    assert row.why_no_figures == "no audit answer of this policy is reviewed yet"
