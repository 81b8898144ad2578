"""`redpen init`: a project that loads, and nobody's file overwritten."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alignment.config import read_project
from feedback.errors import InvalidInput
from feedback.prompts import read_prompts
from feedback.rubric import read_rubric
from review_ui.cli import app
from review_ui.project.init import TEMPLATES, create, rubrics

CONFIGS = Path(str(files("configs"))) / "rubric"


def test_a_new_project_loads_whole(tmp_path: Path) -> None:
    made = create(tmp_path / "desk")
    project = read_project(made.folder)
    assert set(made.written) == {path.name for path in made.folder.iterdir()} == set(TEMPLATES)
    assert read_rubric(made.folder / project.rubric).criteria
    assert read_prompts(made.folder / project.prompts)
    assert read_prompts(made.folder / project.critical, critical=True)


def test_the_base_model_may_be_any_path_or_id(tmp_path: Path) -> None:
    awkward = 'models/it: "is" #1'
    create(tmp_path / "desk", base=awkward)
    assert read_project(tmp_path / "desk").model.base == awkward


@pytest.mark.parametrize("name", rubrics())
def test_a_project_may_begin_with_any_ready_rubric(tmp_path: Path, name: str) -> None:
    create(tmp_path / "desk", rubric=name)
    assert read_rubric(tmp_path / "desk" / "rubric.yaml") == read_rubric(CONFIGS / f"{name}.yaml")


def test_whoever_labels_texts_is_told_how_to_queue_them(tmp_path: Path) -> None:
    told = {name: CliRunner().invoke(app, ["init", str(tmp_path / name), "--rubric", name]).stdout
            for name in ("labels", "safety")}
    assert "queue your texts with `redpen review texts FILE" in told["labels"]
    assert "put your questions into prompts.jsonl" in told["safety"]


def test_an_unknown_rubric_is_refused_with_those_there_are_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"--rubric is 'poems'; the ready ones are answers, code, flags, labels,"):
        create(tmp_path / "desk", rubric="poems")
    assert not (tmp_path / "desk").exists()


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInput, match=r"not empty \(it holds notes.txt\)"):
        create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_force_adds_what_is_missing_and_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "redpen.yaml").write_text("kind: project\nmodel: {base: mine}\n")
    made = create(tmp_path, force=True)
    assert made.kept == ("redpen.yaml",)
    assert read_project(tmp_path).model.base == "mine"
    assert "rubric.yaml" in made.written


def test_a_project_cannot_be_written_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "desk").write_text("mine")
    with pytest.raises(InvalidInput, match="is a file"):
        create(tmp_path / "desk", force=True)


def test_the_project_ignores_secrets_and_databases_in_git(tmp_path: Path) -> None:
    create(tmp_path / "desk")
    rules = (tmp_path / "desk" / ".gitignore").read_text().split()
    assert {"argilla/", "store.db*"} <= set(rules)
