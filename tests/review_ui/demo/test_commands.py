"""`redpen demo`: each demo in its own folder, and mistakes told before the work begins."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from feedback.errors import InvalidInput
from review_ui.cli import app
from review_ui.demo import facts
from review_ui.demo.run import DemoOptions, open_project, run


def test_the_file_for_the_figures_is_checked_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(app, ["demo", "--json", "nowhere/figures.json"])
    assert said.exit_code == 2
    assert "no such folder" in said.output
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_is_stopped_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(options: DemoOptions) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("review_ui.demo.run.run", stopped)
    said = CliRunner().invoke(app, ["demo", "--dir", str(tmp_path / "demo")])
    assert said.exit_code == 130
    assert "The same command goes on where it was; delete" in said.output.replace("\n", " ")


def test_a_new_demo_is_a_whole_project(tmp_path: Path) -> None:
    project = open_project(DemoOptions(folder=tmp_path / "demo", seed=3), "some/base")
    assert (project.config.seed, project.config.model.base) == (3, "some/base")
    assert {prompt.text for prompt in project.prompts} <= set(facts.fact_of())
    assert len({prompt.family for prompt in project.prompts}) == len(facts.facts())


def test_a_demo_that_was_begun_is_gone_on_with(tmp_path: Path) -> None:
    options = DemoOptions(folder=tmp_path / "demo")
    first = open_project(options, "base")
    when = (first.folder / "prompts.jsonl").stat().st_mtime_ns
    assert open_project(options, "base").config == first.config
    assert (first.folder / "prompts.jsonl").stat().st_mtime_ns == when


def test_an_edited_configuration_is_still_the_same_demo(tmp_path: Path) -> None:
    options = DemoOptions(folder=tmp_path / "demo")
    config = open_project(options, "base").folder / "redpen.yaml"
    config.write_text(config.read_text() + "\nleads: [somebody]\n")
    assert open_project(options, "base").config.leads == ("somebody",)


def test_another_demo_in_the_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    open_project(DemoOptions(folder=tmp_path / "demo"), "base")
    before = {path: path.read_bytes() for path in (tmp_path / "demo").iterdir()}
    with pytest.raises(InvalidInput, match=r"has the base base and the seed 0; .* base and 1\. Give it a folder"):
        run(DemoOptions(folder=tmp_path / "demo", model="base", seed=1))
    assert {path: path.read_bytes() for path in (tmp_path / "demo").iterdir()} == before


def test_somebody_s_own_files_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text("mine\n")
    with pytest.raises(InvalidInput, match="is not empty, and no demo"):
        run(DemoOptions(folder=tmp_path, model="base"))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine\n"]
