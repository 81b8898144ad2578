"""How a project's Argilla is found: its own settings first, then the environment, then its own appliance."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from feedback.config import DeskConfig
from feedback.desk.project import connection, open_project_store, project_rubric, read_desk_project
from feedback.errors import DeskUnreachable, InvalidInput

HOSTED = DeskConfig(url="https://argilla.example.org", api_key_env="TEAM_KEY")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "redpen.yaml").write_text("kind: project\nmodel: {base: smollm2}\nqueues: {rate_items: 7}\n", encoding="utf-8")
    (tmp_path / "rubric.yaml").write_text("kind: rubric\ncriteria: [{name: accuracy, title: Accuracy}]\n", encoding="utf-8")
    return tmp_path


def own_appliance(folder: Path) -> None:
    (folder / "argilla").mkdir()
    (folder / "argilla" / "owner.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "api_key": "own"}), encoding="utf-8")


def test_only_what_concerns_reviewers_is_read(folder: Path) -> None:
    project = read_desk_project(folder)
    assert (project.queues.rate_items, project.argilla.workspace) == (7, "redpen")
    assert [criterion.name for criterion in project_rubric(folder, project).criteria] == ["accuracy"]


def test_a_misspelt_key_of_the_reviewers_part_is_refused(folder: Path) -> None:
    (folder / "redpen.yaml").write_text("kind: project\nargilla: {ulr: x}\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"argilla.ulr: unknown key; did you mean `url`"):
        read_desk_project(folder)


def test_the_store_is_a_file_of_the_project(folder: Path) -> None:
    with open_project_store(folder, read_desk_project(folder)) as store:
        assert store.name == str(folder / "store.db")


def test_the_address_in_redpen_yaml_comes_first(folder: Path) -> None:
    own_appliance(folder)
    found = connection(folder, HOSTED, environ={"TEAM_KEY": "t", "ARGILLA_API_URL": "http://other", "ARGILLA_API_KEY": "o"})
    assert (found.url, found.api_key) == ("https://argilla.example.org", "t")


def test_then_the_variables_of_the_sdk(folder: Path) -> None:
    own_appliance(folder)
    found = connection(folder, DeskConfig(), environ={"ARGILLA_API_URL": "http://other", "ARGILLA_API_KEY": "o"})
    assert (found.url, found.api_key) == ("http://other", "o")


def test_then_the_projects_own_appliance(folder: Path) -> None:
    own_appliance(folder)
    found = connection(folder, DeskConfig(), environ={"ARGILLA_API_KEY": "of another server"})
    assert (found.url, found.api_key) == ("http://127.0.0.1:1", "own")
    assert "redpen serve" in found.advice


@pytest.mark.parametrize(("config", "environ", "name"), [
    (HOSTED, {}, "TEAM_KEY"), (DeskConfig(), {"ARGILLA_API_URL": "http://other"}, "ARGILLA_API_KEY")])
def test_an_address_without_a_key_names_the_variable(
        folder: Path, config: DeskConfig, environ: dict[str, str], name: str) -> None:
    with pytest.raises(InvalidInput, match=f"the environment variable {name} is not set"):
        connection(folder, config, environ=environ)


def test_no_argilla_at_all_says_to_run_serve(folder: Path) -> None:
    with pytest.raises(DeskUnreachable, match="no Argilla yet; run `redpen serve`"):
        connection(folder, DeskConfig(), environ={})


def test_a_damaged_owner_file_is_named(folder: Path) -> None:
    own_appliance(folder)
    (folder / "argilla" / "owner.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"owner\.json: cannot be read"):
        connection(folder, DeskConfig(), environ={})
