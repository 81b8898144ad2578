"""SFT ends with a report as well."""

from __future__ import annotations

from pathlib import Path

from sft.curves.demonstrations import report_demonstrations
from sft.curves.report import read_report
from tests.rows import example


def logged(losses: list[float]) -> list[dict[str, float]]:
    return [{"step": step, "epoch": step / 8, "loss": loss, "mean_token_accuracy": 0.5} for step, loss in enumerate(losses, 1)]


def test_a_healthy_run_is_left_alone_and_what_cannot_be_said_is_told(tmp_path: Path, capsys):
    report_demonstrations(tmp_path, logged([2.0, 1.5, 1.2, 1.0, 0.9]), [example(f"question {n}", "yes") for n in range(30)])
    made = read_report(tmp_path)
    assert made.findings == ()
    assert [unsaid.name for unsaid in made.unsaid] == ["overfitting"]
    assert "sft: 5 steps on 30 demonstrations" in capsys.readouterr().err


def test_a_broken_run_on_repeated_rows_has_both_findings(tmp_path: Path):
    rows = [example(f"question {n % 15}", "yes" + "!" * (n // 15)) for n in range(30)]
    report_demonstrations(tmp_path, logged([2.0, 5.0, 7.0, 6.5, 6.0]), rows)
    assert [finding.name for finding in read_report(tmp_path).findings] == ["learning_rate_too_high", "duplicates"]
    assert "<script" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_what_people_wrote_is_escaped_in_the_page(tmp_path: Path):
    from sft.curves.report import CurvesReport, GroupFigures, write_report

    group = GroupFigures(group="topic: <script>alert(1)</script>", rows=3, figures={"accuracy": 1.0})
    write_report(tmp_path, CurvesReport(stage="dpo", steps=1, counts={}, findings=(), unsaid=(), figures={}, groups=(group,),
                                        curves={}), title="x", charts=[])
    assert "&lt;script&gt;" in (tmp_path / "report.html").read_text(encoding="utf-8")
