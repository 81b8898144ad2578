from pathlib import Path

from alignment.evaluation import report
from alignment.evaluation.report import EvaluationStage
from alignment.evaluation.trends import read_trend, trend
from tests.alignment.evaluation.audits import CANDIDATE, CHAMPION, form, questions, rated, sealed


def evaluated(tmp_path: Path) -> dict[int, Path]:
    """Round 0 judged the base alone, round 1 a candidate against it, round 2 is still waiting."""
    folders = {number: tmp_path / f"{number:04d}" / "10_evaluation" for number in range(3)}
    base = sealed(tmp_path / "s0", [rated(prompt, [form()], policy=CHAMPION, round=0) for prompt in questions(3)])
    new = sealed(tmp_path / "s1", [rated(prompt, [form()], policy=CANDIDATE, round=1) for prompt in questions(4)])
    folders[0].parent.mkdir()
    folders[1].parent.mkdir()
    report.run(EvaluationStage(candidate=CHAMPION), audit_snapshots=[base], out=folders[0])
    report.run(EvaluationStage(candidate=CANDIDATE, champion=CHAMPION), audit_snapshots=[base, new], out=folders[1])
    return folders


def test_every_finished_round_is_a_row_in_order(tmp_path: Path) -> None:
    folders = evaluated(tmp_path)
    rows = read_trend(dict(reversed(folders.items())))
    assert [(row.round, row.policy_id, row.reviewed) for row in rows] == [(0, CHAMPION, 3), (1, CANDIDATE, 4)]
    assert {row.simulated for row in rows} == {1}


def test_a_row_shows_what_the_report_says(tmp_path: Path) -> None:
    folders = evaluated(tmp_path)
    found = report.read_report(folders[1])
    (row,) = trend([(1, found)])
    assert (row.hallucination_rate, row.win_rate) == (found.candidate.hallucination_rate, found.win_rate)
    assert row.criteria == found.candidate.criteria


def test_before_the_first_evaluation_there_is_no_row(tmp_path: Path) -> None:
    assert read_trend({0: tmp_path / "0000" / "10_evaluation"}) == []
