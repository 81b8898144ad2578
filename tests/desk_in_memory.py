"""A desk without a server, for tests of what stands around it. Its people act through `submit`, `save_draft` and so on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, Literal

from feedback.desk.codec import RecordDraft, encode_answer, read_shown
from feedback.desk.desk import Answers, Counts, Dataset, Page, People, Progress, Record, Response
from feedback.desk.layout import Layout, answer_fields
from feedback.desk.routing import WANTED
from feedback.errors import DeskUnreachable
from feedback.ids import ItemId, ReviewerId
from feedback.schemas import RankAnswer, RateAnswer, ReviewItem
from tests.people import START, a_reviewer


@dataclass
class _Held:
    id: str
    draft: RecordDraft
    responses: dict[ReviewerId, Response] = field(default_factory=dict)


@dataclass
class DeskInMemory:
    """Has the methods of `feedback.desk.desk.Desk`, and people."""

    workspace: str = "redpen"
    page_size: int = 2
    """Small, so that tests with three records meet the second page."""
    made: bool = False
    down: bool = False
    """True: every call fails as an unreachable server does."""
    tells_answers: bool = False
    """True: it lists what changed since a moment, as Redpen's own server does."""
    upserts_left: int | None = None
    """After so many batches the server is gone."""
    now: datetime = START
    held: dict[str, tuple[Dataset, dict[str, _Held]]] = field(default_factory=dict)
    accounts: dict[ReviewerId, str] = field(default_factory=dict)
    chiefs: set[str] = field(default_factory=set)
    """Names of the owners and admins among the people."""
    routing: bool = False
    """Whether it heeds the metadata that routes records."""
    properties: dict[str, set[str]] = field(default_factory=dict)
    """Metadata properties by dataset."""
    reads: list[str] = field(default_factory=list)
    """Names of the datasets whose records were listed."""

    def close(self) -> None:
        """There is nothing to give back."""

    def has_workspace(self) -> bool:
        self._reach()
        return self.made

    def create_workspace(self) -> None:
        self._reach()
        self.made = True

    def datasets(self) -> dict[str, Dataset]:
        self._reach()
        return {name: dataset for name, (dataset, _) in self.held.items()}

    def create_dataset(self, layout: Layout) -> Dataset:
        self._reach()
        dataset = Dataset(id=f"dataset-{layout.name}-{self._tick():%H%M%S}", name=layout.name, layout=layout, ready=True,
                          active_at=self.now)
        self.held[layout.name] = (dataset, {})
        return dataset

    def delete_dataset(self, dataset: Dataset) -> None:
        self._reach()
        del self.held[dataset.name]

    def update_dataset(self, dataset: Dataset, layout: Layout) -> None:
        self._reach()
        self._change(dataset.name, layout=layout)

    def upsert(self, dataset: Dataset, records: Sequence[RecordDraft]) -> dict[ItemId, str]:
        self._reach()
        if self.upserts_left is not None:
            if self.upserts_left == 0:
                raise DeskUnreachable("the server went away")
            self.upserts_left -= 1
        held = self.held[dataset.name][1]
        for record in records:
            held.setdefault(record.item_id, _Held(id=f"record-{record.item_id}", draft=record))
        return {record.item_id: held[record.item_id].id for record in records}

    def routes_records(self) -> bool:
        self._reach()
        return self.routing

    def add_metadata_properties(self, dataset: Dataset, properties: Mapping[str, str]) -> None:
        self._reach()
        self.properties.setdefault(dataset.name, set()).update(properties)

    def change_metadata(self, record_id: str, changes: Mapping[str, object]) -> None:
        self._reach()
        one = next(one for _, held in self.held.values() for one in held.values() if one.id == record_id)
        one.draft = replace(one.draft, metadata={**one.draft.metadata, **changes})

    def pages(self, dataset: Dataset) -> Iterator[Page]:
        self._reach()
        self.reads.append(dataset.name)
        held = list(self.held[dataset.name][1].values())
        for start in range(0, len(held), self.page_size):
            yield Page(records=tuple(_record(one) for one in held[start:start + self.page_size]), total=len(held))

    def answers(self, dataset: Dataset, *, since: datetime | None) -> Iterator[Answers] | None:
        self._reach()
        if not self.tells_answers:
            return None
        self.reads.append(f"{dataset.name} since" if since else dataset.name)
        held = self.held[dataset.name][1].values()
        found = [Record(id=one.id, item_id=one.draft.item_id, responses=(response,)) for one in held
                 for response in one.responses.values() if since is None or response.updated_at >= since]
        submitted = sum(_submitted(one) for one in held)
        return iter([Answers(records=tuple(found[start:start + self.page_size]), submitted=submitted, at=self.now)
                     for start in range(0, max(len(found), 1), self.page_size)])

    def record(self, record_id: str) -> Record | None:
        self._reach()
        return next((_record(one) for _, held in self.held.values() for one in held.values() if one.id == record_id), None)

    def users(self) -> dict[ReviewerId, str]:
        self._reach()
        return dict(self.accounts)

    def people(self) -> People:
        self._reach()
        return People(names=dict(self.accounts), reviewers=frozenset(self.accounts.values()) - self.chiefs,
                      managers=frozenset(self.chiefs))

    def size(self, dataset: Dataset) -> int:
        self._reach()
        return len(self.held[dataset.name][1])

    def waiting(self, dataset: Dataset) -> None:
        self._reach()

    def progress(self, dataset: Dataset) -> Progress:
        self._reach()
        held = list(self.held[dataset.name][1].values())
        usual = dataset.layout.reviews if dataset.layout else 1
        wanted = {one.id: int(str(one.draft.metadata.get(WANTED, usual))) for one in held}
        pending = [one for one in held if _submitted(one) < wanted[one.id]]
        users = {name: _counts(user, held, pending) for user, name in self.accounts.items()}
        return Progress(records=len(held), pending=len(pending), reviews_wanted=sum(wanted[one.id] for one in pending),
                        users={name: counts for name, counts in users.items() if counts != Counts(0, 0, 0)})

    # -- what people do

    def invite(self, *names: str) -> None:
        """Give people accounts, who have done nothing yet."""
        self.accounts |= {a_reviewer(name).id: name for name in names}

    def submit(self, name: str, item: ReviewItem, answer: RateAnswer | RankAnswer | Mapping[str, Any]) -> None:
        """Submit a form, or values as the page would send them. The person gets an account when they have none."""
        self._respond(name, item, "submitted", answer)

    def save_draft(self, name: str, item: ReviewItem, answer: RateAnswer | RankAnswer | Mapping[str, Any]) -> None:
        """Fill a form in without submitting it."""
        self._respond(name, item, "draft", answer)

    def discard(self, name: str, item: ReviewItem) -> None:
        """Skip the item."""
        self._respond(name, item, "discarded", {})

    def delete_response(self, name: str, item: ReviewItem) -> None:
        """Delete what the person did with the item."""
        dataset, held = self._find(item)
        del held.responses[a_reviewer(name).id]
        self._change(dataset.name, active_at=self._tick())

    def delete_record(self, item: ReviewItem) -> None:
        """Delete the item's record, with everybody's responses."""
        dataset, _ = self._find(item)
        del self.held[dataset.name][1][item.id]

    def delete_user(self, name: str) -> None:
        """Delete an account, with all its responses, as Argilla does."""
        user = a_reviewer(name).id
        del self.accounts[user]
        for _, held in self.held.values():
            for one in held.values():
                one.responses.pop(user, None)

    def _respond(self, name: str, item: ReviewItem, status: Literal["submitted", "draft", "discarded"],
                 answer: RateAnswer | RankAnswer | Mapping[str, Any]) -> None:
        dataset, held = self._find(item)
        user = a_reviewer(name).id
        self.accounts.setdefault(user, name)
        values = answer if isinstance(answer, Mapping) else _values(answer, item, held.draft)
        held.responses[user] = Response(id=f"response-{item.id}-{user}", user_id=user, status=status, values=values,
                                        updated_at=self._tick())
        self._change(dataset.name, active_at=self.now)

    def _find(self, item: ReviewItem) -> tuple[Dataset, _Held]:
        return next((dataset, held[item.id]) for dataset, held in self.held.values() if item.id in held)

    def _change(self, name: str, **changes: Any) -> None:
        dataset, held = self.held[name]
        self.held[name] = (replace(dataset, **changes), held)

    def _tick(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def _reach(self) -> None:
        if self.down:
            raise DeskUnreachable("no Argilla answers")


def _record(held: _Held) -> Record:
    return Record(id=held.id, item_id=held.draft.item_id, responses=tuple(held.responses.values()))


def _submitted(held: _Held) -> int:
    return sum(response.status == "submitted" for response in held.responses.values())


def _counts(user: ReviewerId, held: Sequence[_Held], pending: Sequence[_Held]) -> Counts:
    mine = [(one.responses[user].status == "submitted", one in pending) for one in held if user in one.responses]
    return Counts(submitted_on_pending=mine.count((True, True)), submitted_on_completed=mine.count((True, False)),
                  unfinished_on_pending=mine.count((False, True)))


def _values(answer: RateAnswer | RankAnswer, item: ReviewItem, draft: RecordDraft) -> dict[str, Any]:
    names = zip(item.completion_ids, answer_fields(len(item.completion_ids)), strict=True)
    texts: Any = {completion: SimpleNamespace(text=read_shown(draft.fields[name])) for completion, name in names}
    return encode_answer(answer, item=item, completions=texts)
