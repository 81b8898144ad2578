"""The real desk: Argilla 2.x through its SDK, and through the SDK's own HTTP client where its objects would be slow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from feedback.config import DeskConfig
from feedback.desk.argilla_layout import changes, read_layout, settings
from feedback.desk.argilla_server import Server
from feedback.desk.codec import RecordDraft
from feedback.desk.desk import Answers, Counts, Dataset, Page, People, Progress, Record, Response
from feedback.desk.layout import Layout, is_review_dataset
from feedback.desk.routing import WANTED
from feedback.errors import DeskRefused
from feedback.ids import ItemId, ReviewerId

PAGE = 500
"""Records in one page of a listing; the server gives at most 1000."""
ANSWERS = 20_000
"""Answers in one reply of Redpen's own server, which gives no more."""


def connect(config: DeskConfig, *, url: str, api_key: str,
            advice: str = "check the address, and that the server runs") -> ArgillaDesk:
    """The workspace on the server at `url`. Raises DeskUnreachable with the advice, or DeskRefused when the key is no good."""
    return ArgillaDesk(Server.open(url, api_key, advice=advice), config.workspace)


class ArgillaDesk:
    """A workspace on an Argilla server; see `feedback.desk.desk.Desk` for what each method promises."""

    def __init__(self, server: Server, workspace: str) -> None:
        self.workspace = workspace
        self._server = server
        self._id: str | None = None
        self._layouts: dict[str, Layout | None] = {}
        """By dataset id: six requests less for each look at the datasets."""

    def close(self) -> None:
        """Give the connections back."""
        self._server.close()

    def has_workspace(self) -> bool:
        """True when the workspace exists and this user may see it."""
        return self._workspace_id() is not None

    def create_workspace(self) -> None:
        """Make the workspace."""
        self._server.send("POST", "workspaces", json={"name": self.workspace})

    def datasets(self) -> dict[str, Dataset]:
        """The workspace's datasets by name."""
        found = self._server.send("GET", "me/datasets", params={"workspace_id": self._workspace_id()})["items"]
        return {one["name"]: self._dataset(one) for one in found}

    def create_dataset(self, layout: Layout) -> Dataset:
        """Make a dataset and open it to reviewers."""
        import argilla

        with self._server.explained() as client:
            workspace = client.workspaces(self.workspace)
            made = argilla.Dataset(layout.name, workspace=workspace, settings=settings(layout, client), client=client).create()
        return self._dataset(self._server.send("GET", f"datasets/{made.id}"))

    def delete_dataset(self, dataset: Dataset) -> None:
        """Remove a dataset; only used on one whose creation was interrupted."""
        self._server.send("DELETE", f"datasets/{dataset.id}")

    def update_dataset(self, dataset: Dataset, layout: Layout) -> None:
        """Bring guidelines, titles and descriptions up to the layout."""
        self._layouts.pop(dataset.id, None)
        self._server.send("PATCH", f"datasets/{dataset.id}", json={"guidelines": layout.guidelines})
        for kind in ("fields", "questions"):
            found = self._server.send("GET", f"datasets/{dataset.id}/{kind}")["items"]
            for id, change in changes(found, layout):
                self._server.send("PATCH", f"{kind}/{id}", json=change)

    def upsert(self, dataset: Dataset, records: Sequence[RecordDraft]) -> dict[ItemId, str]:
        """Add the records, or find those that are there already."""
        ids = self._question_ids(dataset) if any(one.suggestions for one in records) else {}
        items = [{"external_id": one.item_id, "fields": one.fields, "metadata": one.metadata, "suggestions": [
            {"question_id": ids[name], "value": value} for name, value in one.suggestions.items()]} for one in records]
        made = self._server.send("PUT", f"redpen/datasets/{dataset.id}/records", missing_is_none=True, json={"items": items})
        if made is not None:
            return {ItemId(name): id for name, id in made["records"].items()}
        made = self._server.send("PUT", f"datasets/{dataset.id}/records/bulk", json={"items": items})["items"]
        return {ItemId(one["external_id"]): one["id"] for one in made}

    def _question_ids(self, dataset: Dataset) -> dict[str, str]:
        return {one["name"]: one["id"] for one in self._server.send("GET", f"datasets/{dataset.id}/questions")["items"]}

    def routes_records(self) -> bool:
        """True on Redpen's own appliance, when it was started to route."""
        return self._server.send("GET", "redpen/routing", missing_is_none=True) is not None

    def add_metadata_properties(self, dataset: Dataset, properties: Mapping[str, str]) -> None:
        """Add those that are missing."""
        found = self._server.send("GET", f"me/datasets/{dataset.id}/metadata-properties")["items"]
        for name in sorted(set(properties) - {one["name"] for one in found}):
            self._server.send("POST", f"datasets/{dataset.id}/metadata-properties", json={
                "name": name, "title": name.replace("_", " "), "settings": {"type": properties[name]},
                "visible_for_annotators": False})

    def change_metadata(self, record_id: str, changes: Mapping[str, object]) -> None:
        """Read it, change it, write it: the server takes a record's metadata as a whole."""
        found = self._server.send("GET", f"records/{record_id}", missing_is_none=True)
        if found is None:
            raise DeskRefused(f"record {record_id} is gone from Argilla; run `redpen review push` to bring it back")
        self._server.send("PATCH", f"records/{record_id}", json={"metadata": {**(found["metadata"] or {}), **changes}})

    def pages(self, dataset: Dataset) -> Iterator[Page]:
        """All records with their responses."""
        offset = 0
        while True:
            params = {"offset": offset, "limit": PAGE, "include": "responses"}
            found = self._server.send("GET", f"datasets/{dataset.id}/records", params=params)
            yield Page(records=tuple(_record(one) for one in found["items"]), total=found["total"])
            offset += PAGE
            if offset >= found["total"]:
                return

    def answers(self, dataset: Dataset, *, since: datetime | None) -> Iterator[Answers] | None:
        """Everybody's responses, or those that changed since a moment; None on any server but Redpen's own."""
        first = self._some_answers(dataset, since=since, after=None)
        return None if first is None else self._all_answers(dataset, first, since=since)

    def _all_answers(self, dataset: Dataset, first: dict[str, Any], *, since: datetime | None) -> Iterator[Answers]:
        found: dict[str, Any] | None = first
        while found is not None:
            records = tuple(_answer(one) for one in found["items"])
            yield Answers(records=records, submitted=found["submitted"], at=_moment(found["at"]))
            last = found["items"][-1]["id"] if len(found["items"]) == ANSWERS else None
            found = self._some_answers(dataset, since=since, after=last) if last else None

    def _some_answers(self, dataset: Dataset, *, since: datetime | None, after: str | None) -> dict[str, Any] | None:
        params = {"most": ANSWERS} | ({"since": since.isoformat()} if since else {}) | ({"after": after} if after else {})
        found = self._server.send("GET", f"redpen/datasets/{dataset.id}/responses", missing_is_none=True, params=params)
        return None if found is None else dict(found)

    def record(self, record_id: str) -> Record | None:
        """One record with its responses; None when it does not exist any more."""
        found = self._server.send("GET", f"records/{record_id}", missing_is_none=True)
        return None if found is None else _record(found)

    def users(self) -> dict[ReviewerId, str]:
        """Every account's user name by id."""
        return {ReviewerId(one["id"]): one["username"] for one in self._server.send("GET", "users")["items"]}

    def people(self) -> People:
        """Everybody who may rate in this workspace, and all other accounts."""
        accounts = self._server.send("GET", "users")["items"]
        members = self._server.send("GET", f"workspaces/{self._workspace_id()}/users")["items"]
        return People(names={ReviewerId(one["id"]): one["username"] for one in accounts},
                      reviewers=frozenset(one["username"] for one in members if one["role"] == "annotator"),
                      managers=frozenset([*(one["username"] for one in accounts if one["role"] == "owner"),
                                          *(one["username"] for one in members if one["role"] == "admin")]))

    def size(self, dataset: Dataset) -> int:
        """Records in a dataset."""
        return int(self._server.send("GET", f"datasets/{dataset.id}/progress")["total"])

    def waiting(self, dataset: Dataset) -> dict[str, int] | None:
        """Records that each person may review now, by user name; None unless Redpen's own appliance routes records."""
        found = self._server.send("GET", f"redpen/datasets/{dataset.id}/waiting", missing_is_none=True)
        return None if found is None else dict(found)

    def progress(self, dataset: Dataset) -> Progress:
        """How far a dataset is."""
        counted = self._server.send("GET", f"datasets/{dataset.id}/progress")
        users = self._server.send("GET", f"datasets/{dataset.id}/users/progress")["users"]
        return Progress(records=counted["total"], pending=counted["pending"],
                        reviews_wanted=self._reviews_wanted(dataset, counted["pending"]),
                        users={one["username"]: _counts(one["pending"], one["completed"]) for one in users})

    def _reviews_wanted(self, dataset: Dataset, pending: int) -> int:
        usual = dataset.layout.reviews if dataset.layout else 1
        found = self._server.send("GET", f"me/datasets/{dataset.id}/metadata-properties")["items"]
        wanted = next((one["id"] for one in found if one["name"] == WANTED), None)
        if wanted is None or not self.routes_records():
            return pending * usual
        bounds = self._server.send("GET", f"metadata-properties/{wanted}/metrics")
        counts = {number: self._pending_that_want(dataset, number)
                  for number in range(bounds["min"] or 1, (bounds["max"] or 0) + 1)}
        return sum(number * count for number, count in counts.items()) + usual * (pending - sum(counts.values()))

    def _pending_that_want(self, dataset: Dataset, number: int) -> int:
        scopes = {"record": {"property": "status"}, "metadata": {"metadata_property": WANTED}}
        values = {"record": ["pending"], "metadata": [str(number)]}
        query = {"filters": {"and": [{"type": "terms", "scope": {"entity": entity, **scope}, "values": values[entity]}
                                     for entity, scope in scopes.items()]}}
        found = self._server.send("POST", f"datasets/{dataset.id}/records/search", json=query, params={"limit": 1})
        return int(found["total"])

    def _workspace_id(self) -> str | None:
        if self._id is None:
            found = self._server.send("GET", "me/workspaces")["items"]
            self._id = next((one["id"] for one in found if one["name"] == self.workspace), None)
        return self._id

    def _dataset(self, found: dict[str, Any]) -> Dataset:
        ready = found["status"] == "ready"
        if ready and found["id"] not in self._layouts and is_review_dataset(found["name"]):
            kinds = ("fields", "questions")
            fields, questions = (self._server.send("GET", f"datasets/{found['id']}/{kind}")["items"] for kind in kinds)
            self._layouts[found["id"]] = read_layout(found, fields, questions)
        return Dataset(id=found["id"], name=found["name"], layout=self._layouts.get(found["id"]), ready=ready,
                       active_at=_moment(found["last_activity_at"]))


def _record(found: dict[str, Any]) -> Record:
    return Record(id=found["id"], item_id=found.get("external_id"),
                  responses=tuple(_response(one) for one in found.get("responses") or ()))


def _answer(found: dict[str, Any]) -> Record:
    return Record(id=found["record_id"], item_id=found["external_id"], responses=(_response(found),))


def _response(found: dict[str, Any]) -> Response:
    values = {name: value["value"] for name, value in (found.get("values") or {}).items()}
    return Response(id=found["id"], user_id=ReviewerId(found["user_id"]), status=found["status"], values=values,
                    updated_at=_moment(found["updated_at"]))


def _counts(pending: dict[str, int], completed: dict[str, int]) -> Counts:
    return Counts(submitted_on_pending=pending["submitted"], submitted_on_completed=completed["submitted"],
                  unfinished_on_pending=pending["draft"] + pending["discarded"])


def _moment(text: str) -> datetime:
    """A time of the server, which tells UTC without saying so."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
