"""The simulated people at work: each logs in to Argilla as a user of their own and rates what the page would show.

They read only the fields of a record, and know the truth about an answer from the question's text. Nothing here touches
Redpen's store: their ratings reach it the way everybody's do.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

from feedback import simulation
from feedback.desk.codec import EMPTY, encode_answer, read_shown
from feedback.desk.layout import ANSWER, PROMPT
from feedback.errors import DeskRefused
from feedback.ids import CompletionId, ItemId, PolicyId, PromptId, unit_interval
from feedback.rubric import Rubric
from feedback.schemas import Completion, Decoding, Purpose, Queue, RankAnswer, RateAnswer, ReviewItem
from feedback.simulation import Judged, SimulatedReviewer
from review_ui.demo.session import Account, Dataset, Session, logged_in, with_key

Oracle = Callable[[str, str], Judged]
"""(question, answer) -> the truth about it."""

AT_ONCE = 10
"""Records that one person reads and submits together."""
LOOKED_AT = 100
"""Pending records on a page that one person looks through for their own."""
ACCOUNTS = "simulated_reviewers.json"


@dataclass(frozen=True, slots=True)
class Panel:
    """People with accounts at one Argilla, and what they know."""

    url: str
    people: Sequence[SimulatedReviewer]
    accounts: Mapping[str, Account]
    oracle: Oracle
    rubric: Rubric
    seed: int

    def work(self, advance: Callable[[int], None] = lambda count: None) -> int:
        """Everybody rates in parallel until nothing is pending for anybody; how many forms were submitted."""
        done, stop = 0, Event()
        with ThreadPoolExecutor(len(self.people), thread_name_prefix="sim") as threads:
            try:
                # Again until nobody finds anything: what others submit moves the pages that somebody turns at the same time.
                while now := sum(threads.map(lambda person: self._sit(person, advance, stop), self.people)):
                    done += now
            except BaseException:
                # Ctrl-C, or one who cannot go on: the others go home as well.
                stop.set()
                raise
        return done

    def _sit(self, person: SimulatedReviewer, advance: Callable[[int], None], stop: Event) -> int:
        """One person's day."""
        done = 0
        with logged_in(self.url, self.accounts[person.name]) as session:
            for dataset in session.datasets():
                for pages in _in_parts(self._pages_of(person, session, dataset)):
                    if stop.is_set():
                        return done
                    session.submit({record: self._fill_in(person, page) for record, page in pages.items()})
                    advance(len(pages))
                    done += len(pages)
        return done

    def _pages_of(self, person: SimulatedReviewer, session: Session, dataset: Dataset) -> dict[str, _Page]:
        """What is pending in the dataset and falls to this person, by record."""
        pages = {record["id"]: _read_page(record["fields"]) for record in _pending(session, dataset)}
        return {record: page for record, page in pages.items() if person.name in self.asked(page.shown, dataset.reviews)}

    def asked(self, shown: str, reviews: int) -> list[str]:
        """The people to whom what is shown falls: drawn from the seed, so that who is free first changes nothing."""
        names = [person.name for person in self.people]
        return sorted(names, key=lambda name: unit_interval(f"{self.seed}:{name}:{shown}"))[:reviews]

    def _fill_in(self, person: SimulatedReviewer, page: _Page) -> dict[str, Any]:
        """The form's values for one record."""
        completions = {CompletionId(name): _completion(name, text) for name, text in page.answers.items()}
        return encode_answer(self._judge(person, page), item=_item_of(page), completions=completions)

    def _judge(self, person: SimulatedReviewer, page: _Page) -> RateAnswer | RankAnswer:
        truths = {CompletionId(name): self.oracle(page.question, text) for name, text in page.answers.items()}
        if page.queue is Queue.RANK:
            return simulation.rank(person, list(truths.items()), shown=page.shown, seed=self.seed)
        (truth,) = truths.values()
        return simulation.rate(person, truth, self.rubric, shown=page.shown, seed=self.seed)


def _pending(session: Session, dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Every record that waits for the session's user."""
    offset = 0
    while records := session.pending(dataset, offset=offset, limit=LOOKED_AT):
        yield from records
        offset += len(records)


def _in_parts(pages: Mapping[str, _Page]) -> Iterator[dict[str, _Page]]:
    """AT_ONCE records at a time."""
    left = iter(pages.items())
    while part := dict(islice(left, AT_ONCE)):
        yield part


@dataclass(frozen=True, slots=True)
class _Page:
    """What a person reads: the question, and the answers by the name of their field."""

    question: str
    answers: dict[str, str]

    @property
    def shown(self) -> str:
        """All of it, sorted: the same answers in another order are the same page to a person's luck."""
        return "\n".join([self.question, *sorted(self.answers.values())])

    @property
    def queue(self) -> Queue:
        return Queue.RATE if set(self.answers) == {ANSWER} else Queue.RANK


def _read_page(fields: Mapping[str, str]) -> _Page:
    answers = {name: read_shown(text) for name, text in fields.items() if name == ANSWER or name.startswith(f"{ANSWER}_")}
    return _Page(question=read_shown(fields[PROMPT]),
                 answers={name: "" if text == EMPTY else text for name, text in sorted(answers.items())})


def _item_of(page: _Page) -> ReviewItem:
    """The item as far as a reviewer can know it: the fields' names stand for the completions."""
    return ReviewItem(id=ItemId("shown"), queue=page.queue, purpose=Purpose.TRAIN, round=0, prompt_id=PromptId("shown"),
                      completion_ids=tuple(CompletionId(name) for name in page.answers))


def _completion(name: str, text: str) -> Completion:
    return Completion(id=CompletionId(name), prompt_id=PromptId("shown"), policy_id=PolicyId("unknown"), index=0, text=text,
                      decoding=Decoding())


def enroll(url: str, api_key: str, *, workspace: str, people: Sequence[SimulatedReviewer], home: Path) -> dict[str, Account]:
    """Give each person an account in the workspace, made by the owner; passwords are kept in `home` (mode 0600)."""
    accounts = _known_accounts(home)
    accounts |= {person.name: Account(person.name, secrets.token_urlsafe(16)) for person in people if person.name not in accounts}
    with with_key(url, api_key) as owner:
        users = {user["username"]: user["id"] for user in owner.send("GET", "users")["items"]}
        if unknown := [person.name for person in people if person.name in users and person.name not in _known_accounts(home)]:
            raise DeskRefused(f"{url}: {', '.join(unknown)} have accounts, and {home / ACCOUNTS} does not hold their passwords; "
                              "delete the accounts, or give the demo a new folder with --dir")
        # Before they are used: an interrupted demo must be able to log in again.
        _keep(home, accounts)
        (place,) = [found["id"] for found in owner.send("GET", "me/workspaces")["items"] if found["name"] == workspace]
        members = {user["username"] for user in owner.send("GET", f"workspaces/{place}/users")["items"]}
        for person in people:
            if person.name not in users:
                told = {"first_name": person.name, "last_name": "(simulated)", "role": "annotator"}
                users[person.name] = owner.send("POST", "users", json=told | asdict(accounts[person.name]))["id"]
            if person.name not in members:
                owner.send("POST", f"workspaces/{place}/users", json={"user_id": users[person.name]})
    return accounts


def _known_accounts(home: Path) -> dict[str, Account]:
    path = home / ACCOUNTS
    if not path.exists():
        return {}
    return {name: Account(**account) for name, account in json.loads(path.read_text(encoding="utf-8")).items()}


def _keep(home: Path, accounts: Mapping[str, Account]) -> None:
    partial = home / f"{ACCOUNTS}.partial"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({name: asdict(account) for name, account in accounts.items()}, file, indent=1)
    os.replace(partial, home / ACCOUNTS)
