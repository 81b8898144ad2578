"""The way out: everything in a home's server copied to another Argilla through its API, and proof that both hold the same.

Run again it goes on: what is there already is found by its name and left alone, and only records that differ are sent. People
and workspaces keep their ids where the other server lets them, so that ratings made before and after are one person's.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from feedback.config import Strict
from feedback.errors import DeskRefused, InvalidInput, LineageError, NothingToDo
from feedback.terminal import note, progress
from review_ui.appliance.archive import DATABASE
from review_ui.appliance.holding import holder_of, is_held
from review_ui.appliance.likeness import Holdings, Names, holdings, likeness, name_of
from review_ui.appliance.remote import Remote

SETTINGS = ("fields", "questions", "metadata-properties", "vectors-settings")
"""Parts of a dataset, each a list of its own in the API."""
_COPIED = {"fields": ("name", "title", "required", "settings"),
           "questions": ("name", "title", "description", "required", "settings"),
           "metadata-properties": ("name", "title", "settings", "visible_for_annotators"),
           "vectors-settings": ("name", "title", "dimensions")}
_NAMED = 5
"""Records named in an error."""


class MovedDataset(Strict):
    """One dataset, as counted at the source."""

    name: str
    """workspace/dataset."""
    records: int
    responses: int
    suggestions: int
    vectors: int
    same: bool | None
    """The other server holds the very same; None when nothing was copied."""


class Moved(Strict):
    """What was moved."""

    url: str
    users: int
    """People made there."""
    passwords: str | None
    """File with their new passwords, mode 0600: the old ones cannot be read out of a server."""
    datasets: tuple[MovedDataset, ...]


def move(home: Path, url: str, *, api_key_env: str, dry_run: bool = False) -> Moved:
    """Copy, and compare. Raises LineageError when the two differ in the end, with what to do."""
    key = os.environ.get(api_key_env, "").strip()
    if not key:
        raise InvalidInput(f"the environment variable {api_key_env} is not set; put an owner's API key of {url} there")
    with _source(home) as source, Remote.at(url, key) as target:
        if dry_run:
            datasets = [_counted(name, holdings(source, dataset["id"], _names(source, dataset["id"])), same=None)
                        for name, dataset in _datasets(source).items()]
            return Moved(url=url, users=len(_missing_people(source, target)), passwords=None, datasets=tuple(datasets))
        passwords = home / f"passwords-{urlsplit(url).hostname}.json"
        made = _move_people(source, target, passwords)
        _move_workspaces(source, target)
        moved = [_move_dataset(source, target, name) for name in _datasets(source)]
    return Moved(url=url, users=made, passwords=str(passwords) if passwords.exists() else None, datasets=tuple(moved))


@contextmanager
def _source(home: Path) -> Iterator[Remote]:
    """The home's server, started for this when it does not run."""
    from review_ui.appliance.appliance import Appliance

    if not (home / DATABASE).exists():
        raise NothingToDo(f"{home}: no server was started here yet; there is nothing to move")
    if is_held(home):
        owner = json.loads((home / "owner.json").read_text(encoding="utf-8"))
        with Remote.at(holder_of(home)["url"], owner["api_key"]) as remote:
            yield remote
        return
    with Appliance(home) as running, Remote.at(running.url, running.api_key) as remote:
        yield remote


def _missing_people(source: Remote, target: Remote) -> list[dict[str, Any]]:
    there = {user["username"] for user in target.items("users")}
    return [user for user in source.items("users") if user["username"] not in there]


def _move_people(source: Remote, target: Remote, passwords: Path) -> int:
    missing = _missing_people(source, target)
    known = json.loads(passwords.read_text(encoding="utf-8")) if passwords.exists() else {}
    for user in missing:
        # Written before the person is made: a kill in between loses no password.
        known[user["username"]] = secrets.token_urlsafe(12)
        _write_private(passwords, known)
        target.call("POST", "users", json={name: user[name] for name in ("id", "first_name", "last_name", "username", "role")}
                    | {"password": known[user["username"]]})
    ids = _by_name(target.items("users"), "username")
    if others := [user["username"] for user in source.items("users") if ids[user["username"]]["id"] != user["id"]]:
        note(f"{', '.join(others)}: known there under another id; what they rate there counts as a new reviewer's")
    return len(missing)


def _write_private(path: Path, value: dict[str, str]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)


def _move_workspaces(source: Remote, target: Remote) -> None:
    there, people = _by_name(target.items("me/workspaces")), _by_name(target.items("users"), "username")
    for name, workspace in _by_name(source.items("me/workspaces")).items():
        made = there.get(name) or target.call("POST", "workspaces", json={"id": workspace["id"], "name": name})
        inside = {user["username"] for user in target.items(f"workspaces/{made['id']}/users")}
        for user in source.items(f"workspaces/{workspace['id']}/users"):
            if user["username"] not in inside:
                target.call("POST", f"workspaces/{made['id']}/users", json={"user_id": people[user["username"]]["id"]})


def _move_dataset(source: Remote, target: Remote, name: str) -> MovedDataset:
    here = _datasets(source)[name]
    there = _datasets(target).get(name) or _make_dataset(target, name, here)
    _move_settings(source, target, name, here, there)
    if here["status"] == "draft":
        return _counted(name, Holdings(), same=True)
    if there["status"] == "draft":
        target.call("PUT", f"datasets/{there['id']}/publish")
    own, other = _names(source, here["id"]), _names(target, there["id"])
    copied = _Copy(own, other, _ids(other))
    before = holdings(target, there["id"], other).records
    found = Holdings()
    total = source.call("GET", f"datasets/{here['id']}/progress").get("total")
    with progress(name, total=total) as advance:
        for page in source.records(here["id"]):
            for record in page:
                found.add(record, own)
            due = [record for record in page if before.get(name_of(record)) != found.records[name_of(record)]]
            if due:
                target.call("PUT", f"datasets/{there['id']}/records/bulk", json={"items": [copied.of(record) for record in due]})
            advance(len(page))
    _prove(name, found, holdings(target, there["id"], other))
    return _counted(name, found, same=True)


def _make_dataset(target: Remote, name: str, here: Mapping[str, Any]) -> dict[str, Any]:
    workspace = _by_name(target.items("me/workspaces"))[name.split("/", 1)[0]]
    wanted = {key: here[key] for key in ("name", "guidelines", "allow_extra_metadata", "distribution", "metadata")}
    made: dict[str, Any] = target.call("POST", "datasets", json=wanted | {"workspace_id": workspace["id"]})
    return made


def _move_settings(source: Remote, target: Remote, name: str, here: Mapping[str, Any], there: Mapping[str, Any]) -> None:
    """Raises DeskRefused when a dataset of this name asks something else there."""
    for kind in SETTINGS:
        path = "me/datasets/{}/" + kind if kind == "metadata-properties" else "datasets/{}/" + kind
        wanted = _by_name(source.items(path.format(here["id"])))
        present = _by_name(target.items(path.format(there["id"])))
        for part, settings in wanted.items():
            asked = {key: settings.get(key) for key in _COPIED[kind]}
            if part not in present:
                target.call("POST", f"datasets/{there['id']}/{kind}", json=asked)
            elif asked != {key: present[part].get(key) for key in _COPIED[kind]}:
                raise DeskRefused(f"{name}: a dataset of this name is there already, and its {kind} {part!r} is another one. "
                                  "Rename or delete that dataset there and run the same command again")


@dataclass(frozen=True)
class _Copy:
    """Records as the other server takes them."""

    own: Names
    other: Names
    ids: Mapping[str, Mapping[str, str]]
    """`users` and `questions` of the other server: name -> id."""

    def of(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """With the other server's ids."""
        content = likeness(record, self.own)
        return {
            "external_id": name_of(record), "fields": content["fields"], "metadata": content["metadata"] or None,
            "vectors": content["vectors"] or None,
            "responses": [{"user_id": self.ids["users"][user], "status": status, "values": values}
                          for user, status, values in content["responses"]],
            "suggestions": [{"question_id": self.ids["questions"][question], "value": value, "score": score, "agent": agent,
                             "type": kind} for question, value, score, agent, kind in content["suggestions"]],
        }


def _ids(names: Names) -> dict[str, dict[str, str]]:
    return {"users": {name: id for id, name in names.users.items()},
            "questions": {name: id for id, name in names.questions.items()}}


def _prove(name: str, here: Holdings, there: Holdings) -> None:
    """Raise LineageError unless both hold the same."""
    both = here.records.keys() | there.records.keys()
    different = sorted(key for key in both if here.records.get(key) != there.records.get(key))
    if different:
        raise LineageError(f"{name}: {len(different)} records differ ({', '.join(different[:_NAMED])}"
                           f"{', ...' if len(different) > _NAMED else ''}). If people work here, let them pause and run the same "
                           "command again; what only the other server has is never deleted: delete it there first")


def _counted(name: str, found: Holdings, *, same: bool | None) -> MovedDataset:
    counts = found.counts
    return MovedDataset(name=name, records=counts["records"], responses=counts["responses"], suggestions=counts["suggestions"],
                        vectors=counts["vectors"], same=same)


def _datasets(remote: Remote) -> dict[str, dict[str, Any]]:
    """workspace/dataset -> dataset."""
    workspaces = {workspace["id"]: workspace["name"] for workspace in remote.items("me/workspaces")}
    return {f"{workspaces[dataset['workspace_id']]}/{dataset['name']}": dataset for dataset in remote.items("me/datasets")}


def _names(remote: Remote, dataset_id: str) -> Names:
    return Names(users={user["id"]: user["username"] for user in remote.items("users")},
                 questions={question["id"]: question["name"] for question in remote.items(f"datasets/{dataset_id}/questions")})


def _by_name(rows: list[dict[str, Any]], key: str = "name") -> dict[str, dict[str, Any]]:
    return {row[key]: row for row in rows}
