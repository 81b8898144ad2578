"""The demo's people rate through a real Argilla, and a finished demo starts nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from alignment import rounds
from alignment.project import Project
from feedback.config import DeskConfig
from feedback.schemas import VerdictValue
from feedback.simulation import Judged, SimulatedReviewer
from review_ui.appliance.appliance import Running
from review_ui.demo import run as demo
from review_ui.demo.clock import Clock
from review_ui.demo.panel import Panel, enroll
from review_ui.demo.run import DemoOptions, Desk
from tests.loop import merit, review, tiny_project

PEOPLE = tuple(SimulatedReviewer(f"sim-desk-{number}", reliability=0.9) for number in range(3))
WORKSPACE = "simulated-desk"


def taste(question: str, answer: str) -> Judged:
    """An arbitrary truth: some texts are simply better."""
    good = merit(answer) > 0.5
    return Judged(VerdictValue.CORRECT if good else VerdictValue.INCORRECT, hallucinated=not good,
                  false_spans=((0, len(answer)),) if answer and not good else ())


def a_desk(project: Project, running: Running, home: Path) -> Desk:
    from feedback.desk.argilla_desk import connect
    from feedback.desk.setup import setup

    argilla = connect(DeskConfig(workspace=WORKSPACE), url=running.url, api_key=running.api_key)
    setup(argilla, project.rubric, project.config.queues)
    accounts = enroll(running.url, running.api_key, workspace=WORKSPACE, people=PEOPLE, home=home)
    panel = Panel(url=running.url, people=PEOPLE, accounts=accounts, oracle=taste, rubric=project.rubric, seed=0)
    return Desk(project=project, argilla=argilla, panel=panel, clock=Clock(project.rounds))


@pytest.mark.argilla
@pytest.mark.slow
def test_everything_queued_is_rated_in_argilla_and_lands_in_the_store(tmp_path: Path, base: Path, appliance: Running) -> None:
    project = tiny_project(tmp_path / "demo", base)
    state = rounds.run(project, until=1)
    assert state.waiting_for == "reviews"
    desk = a_desk(project, appliance, tmp_path)
    desk.review()
    desk.argilla.close()
    with project.open_store() as store:
        items = store.items()
        assert store.missing_reviews(items) == {}
        assert len(store.ratings()) == sum(item.reviews for item in items)
        assert {person.name for person in store.reviewers()} == {person.name for person in PEOPLE}
        assert all(person.simulated for person in store.reviewers())


@pytest.mark.slow
def test_a_finished_demo_shows_its_table_and_starts_nothing(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tiny_project(tmp_path / "demo", base)
    rounds.run(project, until=1)
    review(project)
    rounds.run(project, until=1, auto_approve=True)
    review(project)
    assert rounds.run(project, until=1, auto_approve=True).waiting_for == "nothing"
    monkeypatch.setattr(demo, "open_project", lambda options, base: project)
    monkeypatch.setattr(demo.oracle, "judge", taste)
    result = demo.run(DemoOptions(folder=project.folder, model=str(base), rounds=1))
    assert not result.played
    assert [row.round for row in result.rows] == [0, 1]
    assert not (project.folder / "argilla").exists()
