"""The demo's table says what was judged by whom, and a figure that does not exist is not zero."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedback.ids import PolicyId
from feedback.measures import Measured, Unscored
from feedback.schemas import VerdictValue
from feedback.simulation import Judged
from review_ui.demo import table
from review_ui.demo.table import COLUMNS, DemoRow, as_json, cells, told
from tests.loop import review, tiny_project

SHARE = Measured(value=0.25, n=200, low=0.19, high=0.32, method="clopper-pearson")
NOTHING = Unscored(reason="nobody was asked")


def a_row() -> DemoRow:
    figures = {name: SHARE for name in DemoRow.model_fields if name.endswith("_rate")}
    return DemoRow(round=1, policy=PolicyId("policy-1"), reviewed=200, promoted=True, shipped=False, accuracy=SHARE, tone=SHARE,
                   safety=SHARE, decision="pass", **(figures | {"win_rate": NOTHING}))


def test_a_row_has_a_cell_for_each_column_and_a_dash_for_no_figure() -> None:
    shown = dict(zip(COLUMNS, cells(a_row()), strict=True))
    assert shown["correct"] == "25% [19, 32]"
    assert shown["win rate"] == "-"
    assert shown["promoted"] == "yes"


def test_a_program_gets_every_figure_with_its_interval_and_null_for_none() -> None:
    made = as_json([a_row()], wall_seconds=12.34, split={"rest": 1.0})
    (first,) = made["rounds"]
    assert first["hallucination_rate"] == {"value": 0.25, "n": 200, "low": 0.19, "high": 0.32}
    assert first["win_rate"] is None
    assert {"round", "policy", "promoted", "shipped", "correct_rate", "abstention_rate", "oracle_hallucination_rate",
            "oracle_correct_rate", "accuracy", "tone", "safety", "decision"} <= set(first)
    assert (made["wall_seconds"], made["split_seconds"]) == (12.3, {"rest": 1.0})


def test_the_table_is_told_in_words_with_what_was_held_back() -> None:
    base = a_row().model_copy(update={"round": 0, "decision": None})
    held = a_row().model_copy(update={"round": 2, "promoted": False, "decision": "hold"})
    assert told([base, a_row(), held]) == (
        "Hallucinated, by inspect: 25% [19, 32] of the answers before the first round -> 25% [19, 32] of the answers of round 1, "
        "which is the model that stands now.\nNot promoted, because its audit did not show it to be better: round 2 (hold).")


def test_where_nothing_was_promoted_the_base_stands() -> None:
    base = a_row().model_copy(update={"round": 0, "promoted": False, "decision": None})
    held = a_row().model_copy(update={"promoted": False, "decision": "not enough data"})
    first, second = told([base, held]).splitlines()
    assert first.endswith("no round was promoted, and the base stands.")
    assert second.endswith("round 1 (not enough data).")


@pytest.mark.slow
def test_every_audit_answer_is_judged_by_the_oracle_as_well(tmp_path: Path, base: Path) -> None:
    from alignment import rounds

    project = tiny_project(tmp_path / "demo", base)
    rounds.run(project, until=0)
    review(project)
    rounds.run(project, until=0)
    answers: list[str] = []

    def harsh(question: str, answer: str) -> Judged:
        answers.append(answer)
        return Judged(VerdictValue.INCORRECT, hallucinated=True)

    (row,) = table.demo_rows(project, harsh)
    assert isinstance(row.oracle_hallucination_rate, Measured)
    assert (row.oracle_hallucination_rate.value, row.oracle_hallucination_rate.n) == (1.0, len(answers))
    assert len(answers) == project.config.audit.families
    assert row.oracle_right_abstention_rate.kind == "unscored"
