"""`redpen doctor`: what fails is told with what to do, and what is merely absent does not fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from review_ui.project import doctor
from review_ui.project.doctor import Check, Report, disk, imported, installed, lines, threads

FINE = Check(name="a", outcome="ok", found="works")
ABSENT = Check(name="b", outcome="absent", found="not installed", advice="install it")
BROKEN = Check(name="c", outcome="failed", found="no room", advice="make room")


def examined(monkeypatch: pytest.MonkeyPatch, *checks: Check) -> Report:
    monkeypatch.setattr(doctor, "tries", lambda folder: [lambda check=check: check for check in checks])
    return doctor.examine(Path("."))


def test_what_is_absent_is_told_and_does_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    report = examined(monkeypatch, FINE, ABSENT)
    assert report.ok
    assert lines(report)[1:3] == ["absent  b: not installed", "        -> install it"]


def test_what_fails_makes_the_report_fail_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    report = examined(monkeypatch, FINE, BROKEN, ABSENT)
    assert not report.ok
    assert "        -> make room" in lines(report)
    assert "failed" in lines(report)[-1]


def test_a_part_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    found = imported("part", ["json", "no_such_module"], advice="install it")
    assert (found.outcome, found.advice) == ("failed", "install it")
    assert "no_such_module" in found.found


def test_a_part_that_brings_the_interpreter_down_is_a_line_of_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "falls_over.py").write_text("import os\nos._exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = imported("part", ["falls_over"], advice="install it")
    assert (found.outcome, found.found) == ("failed", "ended with 3 and said nothing")


def test_an_extra_that_does_not_work_is_told_and_does_not_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_extra.py").write_text("import no_such_module")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(doctor.EXTRAS, "qlora", ("broken_extra",))
    found = doctor.optional("qlora")
    assert found.outcome == "absent"
    assert "installed, but does not work: ModuleNotFoundError" in found.found


def test_disk_space_is_looked_at_where_the_folder_will_be(tmp_path: Path) -> None:
    assert str(tmp_path) in disk("project", tmp_path / "not" / "yet").found


def test_threads_tell_of_the_variable_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads().advice is None
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert "OMP_NUM_THREADS is not set" in threads().found


def test_a_module_is_found_without_being_imported() -> None:
    assert installed("feedback.errors")
    assert not installed("no_such_package.at_all")


@pytest.mark.slow
def test_two_training_steps_are_taken_for_real() -> None:
    found = doctor.training()
    assert found.outcome == "ok", found
    assert found.found.startswith("SFT: 2 steps")


@pytest.mark.argilla
def test_the_review_server_starts_and_stops() -> None:
    assert doctor.appliance().outcome == "ok"
