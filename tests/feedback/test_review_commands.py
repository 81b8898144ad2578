"""`redpen review` on a project whose Argilla is in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from feedback.desk import argilla_desk
from feedback.review_commands import review_app
from feedback.store.store import Store
from tests.desk_in_memory import DeskInMemory
from tests.people import a_completion, a_prompt, a_rate_answer, a_rate_item, a_rubric


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeskInMemory:
    """A project with one item, in the current folder; every connection leads to this desk."""
    (tmp_path / "redpen.yaml").write_text("kind: project\nargilla: {url: 'http://desk'}\n", encoding="utf-8")
    (tmp_path / "rubric.yaml").write_text(json.dumps(a_rubric().model_dump(mode="json")), encoding="utf-8")
    with Store.open(tmp_path / "store.db") as store:
        store.add_prompts([a_prompt()])
        store.add_completions([a_completion(a_prompt())])
        store.add_items([a_rate_item(a_completion(a_prompt()))])
    made = DeskInMemory()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARGILLA_API_KEY", "key")
    monkeypatch.setattr(argilla_desk, "connect", lambda config, **where: made)
    return made


def run(*arguments: str) -> str:
    result = CliRunner().invoke(review_app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_plan_is_printed_and_then_done(desk: DeskInMemory) -> None:
    assert run("setup", "--dry-run").splitlines()[0] == "would create the workspace 'redpen'"
    assert not desk.made
    assert run("setup").splitlines()[0] == "create the workspace 'redpen'"
    assert run("setup") == "nothing to do\n"


def test_sync_pushes_and_pulls(desk: DeskInMemory) -> None:
    run("setup")
    assert json.loads(run("push", "--json"))["pushed"] == 1
    desk.submit("sim-anna", a_rate_item(a_completion(a_prompt())), a_rate_answer())
    told = json.loads(run("sync", "--json"))
    assert (told["push"]["already"], told["pull"]["new"]) == (1, 1)
    assert run("pull", "--full") == "pulled 0 new, 0 changed, 0 withdrawn\n"


def test_status_says_what_waits(desk: DeskInMemory) -> None:
    run("setup")
    assert "items not in Argilla yet: 1;" in run("status")
    run("push")
    assert "nobody may review yet: add people with `redpen server users add NAME --workspace redpen`" in run("status")
    desk.submit("sim-anna", a_rate_item(a_completion(a_prompt())), {"verdict": "unsure"})
    told = json.loads(run("status", "--json"))
    assert (told["unpushed"], told["reviews_missing"]) == (0, 0)
    assert "sim-anna (simulated)" in run("status")
