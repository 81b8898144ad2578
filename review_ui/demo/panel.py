"""The simulated people at work: each logs in to Argilla as a user of their own and rates what the page would show.

They use the HTTP API that the page uses, read only the fields of a record, and know the truth about an answer from the
question's text. Nothing here touches Redpen's store: their ratings reach it the way everybody's do.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feedback import simulation
from feedback.desk.codec import EMPTY, encode_answer, read_shown
from feedback.desk.layout import ANSWER, PROMPT
from feedback.errors import DeskError, DeskRefused, DeskUnreachable
from feedback.ids import CompletionId, ItemId, PolicyId, PromptId
from feedback.rubric import Rubric
from feedback.schemas import Completion, Decoding, Purpose, Queue, RankAnswer, RateAnswer, ReviewItem
from feedback.simulation import Judged, SimulatedReviewer

if TYPE_CHECKING:
    import httpx

Oracle = Callable[[str, str], Judged]
"""(question, answer) -> the truth about it."""

AT_ONCE = 10
"""Records that one person reads and submits together."""
ACCOUNTS = "simulated_reviewers.json"
PENDING = {"query": {}, "filters": {"and": [
    {"type": "terms", "scope": {"entity": "response", "property": "status"}, "values": ["pending"]},
    {"type": "terms", "scope": {"entity": "record", "property": "status"}, "values": ["pending"]}]}}
"""What the page asks for in its "pending" tab."""


@dataclass(frozen=True, slots=True)
class Account:
    """How one simulated person logs in."""

    username: str
    password: str


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
        """Everybody rates in parallel until nothing is pending for anybody; how many answers were submitted."""
        with ThreadPoolExecutor(len(self.people), thread_name_prefix="sim") as threads:
            return sum(threads.map(lambda person: self._sit(person, advance), self.people))

    def _sit(self, person: SimulatedReviewer, advance: Callable[[int], None]) -> int:
        """One person's session."""
        done = 0
        with _session(self.url, self.accounts[person.name]) as session:
            for dataset in session.datasets():
                while records := session.pending(dataset):
                    session.submit({record["id"]: self._answer(person, record["fields"]) for record in records})
                    advance(len(records))
                    done += len(records)
        return done

    def _answer(self, person: SimulatedReviewer, fields: Mapping[str, str]) -> dict[str, Any]:
        """The form's values for one record."""
        page = _read_page(fields)
        item = _item_of(page)
        answer = self._judge(person, page)
        return encode_answer(answer, item=item, completions={CompletionId(name): _completion(name, text)
                                                             for name, text in page.answers.items()})

    def _judge(self, person: SimulatedReviewer, page: _Page) -> RateAnswer | RankAnswer:
        truths = {CompletionId(name): self.oracle(page.question, text) for name, text in page.answers.items()}
        shown = "\n".join([page.question, *sorted(page.answers.values())])
        if page.queue is Queue.RANK:
            return simulation.rank(person, list(truths.items()), shown=shown, seed=self.seed)
        (truth,) = truths.values()
        return simulation.rate(person, truth, self.rubric, shown=shown, seed=self.seed)


@dataclass(frozen=True, slots=True)
class _Page:
    """What a person reads: the question, and the answers by the name of their field."""

    question: str
    answers: dict[str, str]

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


class _Session:
    """One logged-in user."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def datasets(self) -> list[str]:
        """Ids of the datasets that the user may rate in."""
        return [dataset["id"] for dataset in self._send("GET", "me/datasets")["items"] if dataset["status"] == "ready"]

    def pending(self, dataset: str) -> list[dict[str, Any]]:
        """Some records that wait for this user."""
        found = self._send("POST", f"me/datasets/{dataset}/records/search", params={"limit": AT_ONCE, "offset": 0}, json=PENDING)
        return [item["record"] for item in found["items"]]

    def submit(self, answers: Mapping[str, Mapping[str, Any]]) -> None:
        """Submit the answers, by record. Raises DeskRefused with the first answer that Argilla did not take."""
        items = [{"record_id": record, "status": "submitted",
                  "values": {name: {"value": value} for name, value in values.items()}} for record, values in answers.items()]
        taken = self._send("POST", "me/responses/bulk", json={"items": items})["items"]
        for record, result in zip(answers, taken, strict=True):
            if result["error"]:
                raise DeskRefused(f"record {record}: Argilla did not take a simulated answer: {result['error']['detail']}")

    def _send(self, method: str, path: str, **content: Any) -> Any:
        answer = self._client.request(method, f"/api/v1/{path}", **content)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def _session(url: str, account: Account) -> Iterator[_Session]:
    """Log in with name and password, as a person would."""
    with _client(url) as client:
        token = client.post("/api/v1/token", data={"username": account.username, "password": account.password})
        token.raise_for_status()
        client.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
        yield _Session(client)


@contextmanager
def _client(url: str, **headers: str) -> Iterator[httpx.Client]:
    """An HTTP client whose failures are desk errors."""
    import httpx

    try:
        # Other people's requests stand before ours when the server is busy.
        with httpx.Client(base_url=url, headers=headers, timeout=120) as client:
            yield client
    except httpx.HTTPStatusError as error:
        status, detail = error.response.status_code, error.response.text[:300]
        raise DeskRefused(f"{error.request.url}: Argilla answered HTTP {status}: {detail}") from error
    except httpx.RequestError as error:
        raise DeskUnreachable(f"{url}: no Argilla answers ({error or type(error).__name__}); run the demo again, "
                              "it goes on where it stopped") from error


def enroll(url: str, api_key: str, *, workspace: str, people: Sequence[SimulatedReviewer], home: Path) -> dict[str, Account]:
    """Give each person an account in the workspace, made by the owner; passwords are kept in `home` (mode 0600)."""
    accounts = _known_accounts(home)
    with _client(url, **{"X-Argilla-Api-Key": api_key}) as client:
        owner = _Session(client)
        workspaces = {found["name"]: found["id"] for found in owner._send("GET", "me/workspaces")["items"]}
        members = {user["username"] for user in owner._send("GET", f"workspaces/{workspaces[workspace]}/users")["items"]}
        users = {user["username"]: user["id"] for user in owner._send("GET", "users")["items"]}
        for person in people:
            if person.name in users and person.name not in accounts:
                raise DeskError(f"{home / ACCOUNTS}: no password for {person.name}, whose account exists; delete the account")
            account = accounts.setdefault(person.name, Account(person.name, secrets.token_urlsafe(16)))
            _keep(home, accounts)
            if person.name not in users:
                made = owner._send("POST", "users", json={"first_name": person.name, "last_name": "(simulated)",
                                                          "role": "annotator", **asdict(account)})
                users[person.name] = made["id"]
            if person.name not in members:
                owner._send("POST", f"workspaces/{workspaces[workspace]}/users", json={"user_id": users[person.name]})
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
