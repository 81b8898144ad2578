"""People, condition, upgrade and the way out, on real servers."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from feedback.config import PasswordPolicy
from feedback.errors import DeskRefused, InvalidInput, LineageError, NothingToDo
from review_ui.appliance import people, versions
from review_ui.appliance.appliance import Appliance, Running
from review_ui.appliance.condition import condition
from review_ui.appliance.moving import move
from review_ui.appliance.upgrade import is_current, upgrade
from tests.review_ui.appliance.desk import PASSWORD, Dataset, Desk

pytestmark = pytest.mark.argilla


def sign_in(url: str, username: str, password: str) -> httpx.Response:
    return httpx.post(f"{url}/api/v1/token", data={"username": username, "password": password}, timeout=60)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Another Argilla, which asks for longer passwords."""
    with Appliance(tmp_path_factory.mktemp("other") / "argilla", passwords=PasswordPolicy(min_length=14)) as running:
        yield running


@pytest.fixture(scope="module")
def others(other: Running) -> Iterator[Desk]:
    with httpx.Client(base_url=other.url, timeout=60) as client:
        yield Desk(client, {"X-Argilla-Api-Key": other.api_key})


def test_people_are_made_and_listed_while_the_server_runs(running: Running) -> None:
    home = running.owner_file.parent
    password = people.add(home, "sim-new", role="annotator", workspaces=())
    assert sign_in(running.url, "sim-new", password).status_code == 201
    changed = people.set_password(home, "sim-new")
    assert [sign_in(running.url, "sim-new", word).status_code for word in (password, changed)] == [401, 201]
    assert [(person.username, person.role) for person in people.everybody(home)][:1] == [("owner", "owner")]
    assert "sim-new" in {person.username for person in people.everybody(home)}


@pytest.mark.parametrize(("given", "said"), [
    ({"username": "owner"}, "is not unique"), ({"username": ""}, "username"),
    ({"workspaces": ("nowhere",)}, "'nowhere' does not exist"), ({"password": "short"}, "password"),
    ({"password": "eight888", "rules": PasswordPolicy()}, "this server asks for 12 or more"),
], ids=lambda value: next(iter(value)) if isinstance(value, dict) else None)
def test_a_person_who_cannot_be_made_is_refused_with_the_reason(running: Running, given: dict, said: str) -> None:
    home = running.owner_file.parent
    before = people.everybody(home)
    with pytest.raises(InvalidInput, match=said):
        people.add(home, **{"username": "sim-refused", "role": "annotator", "workspaces": (), **given})
    assert people.everybody(home) == before


def test_a_password_of_nobody_is_not_set(running: Running, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no user 'sim-nobody'"):
        people.set_password(running.owner_file.parent, "sim-nobody")
    with pytest.raises(NothingToDo, match="no server was started here yet"):
        people.everybody(tmp_path)


def test_rules_for_passwords_hold_for_whoever_sets_one(other: Running, others: Desk) -> None:
    new = {"username": "sim-weak", "first_name": "w", "role": "annotator", "password": "aaaaaaaaaaaaaaaa"}
    refused = others.ask("POST", "users", json=new)
    assert (refused.status_code, "different characters" in refused.text) == (422, True)
    assert others.ask("POST", "users", json={**new, "password": PASSWORD}).status_code == 201
    assert "this server asks for 14" in sign_in(other.url, "sim-weak", "only thirteen").json()["detail"]


def test_guessing_is_stopped_on_the_real_server(other: Running, others: Desk) -> None:
    assert [sign_in(other.url, "sim-guessed", "not the password").status_code for _ in range(6)] == [401] * 5 + [429]
    assert others.ask("GET", "me").status_code == 200


def test_the_condition_says_what_runs_and_what_is_held(running: Running) -> None:
    found = condition(running.owner_file.parent)
    assert (found.running, found.url, found.healthy, found.failing) == (True, running.url, True, ())
    assert {child.name for child in found.children} == {"valkey", "server", "worker"}
    assert all(child.pid for child in found.children)
    assert found.counts["users"] >= 1
    assert found.database_bytes > 0
    assert not found.upgrade_due


def test_a_home_that_was_never_served_has_a_condition_too(tmp_path: Path) -> None:
    found = condition(tmp_path / "argilla")
    assert (found.running, found.healthy, found.counts, found.errors) == (False, None, {}, {})


def test_a_server_that_lost_its_queue_is_not_healthy(running: Running) -> None:
    answer = httpx.get(f"{running.url}/healthz")
    assert (answer.status_code, answer.json()) == (200, {"database": True, "queue": True, "disk": True})


def test_a_home_of_an_older_lock_is_backed_up_and_brought_up(tmp_path: Path) -> None:
    home = tmp_path / "argilla"
    with Appliance(home):
        pass
    assert (is_current(home), upgrade(home).backup) == (True, None)
    old = versions.installed().model_copy(update={"lock": "lock-of-last-year", "server": "2.7.0"})
    (home / "versions.json").write_text(old.model_dump_json())
    assert condition(home).upgrade_due
    done = upgrade(home)
    assert (done.before, done.counts["users"], is_current(home)) == ("2.7.0", 1, True)
    assert done.backup is not None
    assert Path(done.backup).is_file()


RECORDS = [{"external_id": f"r{n}", "fields": {"prompt": f"question {n}", "chat": [{"role": "user", "content": "hi"}],
                                              "facts": {"a": n}}, "metadata": {"topic": "loans", "length": n, "share": 0.1 * n},
            "vectors": {"meaning": [0.1 * n, 1.0]}} for n in range(7)]


@pytest.fixture
def worked(desk: Desk) -> Dataset:
    """A dataset with answers in every status, and suggestions."""
    made = desk.dataset([*RECORDS, {"fields": {"prompt": "without an external id"}}], wanted=2)
    ids = [row["id"] for row in desk.call("GET", f"datasets/{made.id}/records", params={"limit": 50})["items"]]
    first, second = desk.reviewer(made), desk.reviewer(made)
    for record, status in zip(ids, ("submitted", "draft", "discarded", "submitted"), strict=False):
        first.answer(record, status=status)
    second.answer(ids[0])
    desk.call("PUT", f"records/{ids[1]}/suggestions", json={
        "question_id": made.questions["verdict"], "value": "wrong", "score": 0.5, "agent": "sim-agent", "type": "model"})
    return made


def name_of(desk: Desk, dataset: Dataset) -> str:
    """The dataset's workspace: every test has one of its own."""
    return str(desk.call("GET", f"workspaces/{dataset.workspace}")["name"])


def test_everything_is_moved_and_both_hold_the_same(running: Running, desk: Desk, other: Running, others: Desk, worked: Dataset,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    home = running.owner_file.parent
    monkeypatch.setenv("OTHER_KEY", other.api_key)
    planned = move(home, other.url, api_key_env="OTHER_KEY", dry_run=True)
    assert others.call("GET", "me/datasets")["items"] == []
    moved = move(home, other.url, api_key_env="OTHER_KEY")
    assert [row.model_copy(update={"same": None}) for row in moved.datasets] == list(planned.datasets)
    assert all(row.same for row in moved.datasets)
    mine = next(row for row in moved.datasets if row.name == f"{name_of(desk, worked)}/rate")
    assert (mine.records, mine.responses, mine.suggestions, mine.vectors) == (8, 5, 1, 7)
    assert moved.passwords is not None
    assert stat.S_IMODE(Path(moved.passwords).stat().st_mode) == 0o600
    name, password = next(iter(json.loads(Path(moved.passwords).read_text()).items()))
    assert sign_in(other.url, name, password).status_code == 201
    here = {person.username for person in people.everybody(home)}
    assert here <= {person.username for person in people.everybody(other.owner_file.parent)}
    again = move(home, other.url, api_key_env="OTHER_KEY")
    assert (again.users, again.datasets) == (0, moved.datasets)


def test_what_only_the_other_server_has_is_told_and_kept(running: Running, desk: Desk, other: Running, others: Desk,
                                                          worked: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", other.api_key)
    move(running.owner_file.parent, other.url, api_key_env="OTHER_KEY")
    workspaces = {row["name"]: row["id"] for row in others.call("GET", "me/workspaces")["items"]}
    there = next(row for row in others.call("GET", "me/datasets")["items"]
                 if row["workspace_id"] == workspaces[name_of(desk, worked)])
    new = {"external_id": "new", "fields": {"prompt": "new"}}
    others.call("POST", f"datasets/{there['id']}/records/bulk", json={"items": [new]})
    with pytest.raises(LineageError, match=r"1 records differ \(new\)"):
        move(running.owner_file.parent, other.url, api_key_env="OTHER_KEY")
    assert others.call("GET", f"datasets/{there['id']}/progress")["total"] == 9
    others.call("DELETE", f"datasets/{there['id']}")


def test_a_key_that_is_no_owners_moves_nothing(running: Running, other: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTHER_KEY", raising=False)
    with pytest.raises(InvalidInput, match="OTHER_KEY is not set"):
        move(running.owner_file.parent, other.url, api_key_env="OTHER_KEY")
    monkeypatch.setenv("OTHER_KEY", "wrong")
    with pytest.raises(DeskRefused, match="401"):
        move(running.owner_file.parent, other.url, api_key_env="OTHER_KEY")
