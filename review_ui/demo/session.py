"""One user's conversation with Argilla over the HTTP API that its page uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from feedback.errors import DeskRefused, DeskUnreachable

if TYPE_CHECKING:
    import httpx

PENDING = {"query": {}, "filters": {"and": [
    {"type": "terms", "scope": {"entity": "response", "property": "status"}, "values": ["pending"]},
    {"type": "terms", "scope": {"entity": "record", "property": "status"}, "values": ["pending"]}]}}
"""What the page asks for in its "pending" tab."""
BUSY_SECONDS = 120
"""Other people's requests stand before ours when the server is busy."""


@dataclass(frozen=True, slots=True)
class Account:
    """How one person logs in."""

    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset that the user may rate in."""

    id: str
    reviews: int
    """Answers that each record waits for."""


class Session:
    """One logged-in user."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def send(self, method: str, path: str, **content: Any) -> Any:
        """One request below `/api/v1/`, and its JSON."""
        answer = self._client.request(method, f"/api/v1/{path}", **content)
        answer.raise_for_status()
        return answer.json()

    def datasets(self) -> list[Dataset]:
        """What the user may rate in."""
        found = self.send("GET", "me/datasets")["items"]
        return [Dataset(one["id"], one["distribution"]["min_submitted"]) for one in found if one["status"] == "ready"]

    def pending(self, dataset: Dataset, *, offset: int, limit: int) -> list[dict[str, Any]]:
        """Records that wait for this user, in the user's own order."""
        found = self.send("POST", f"me/datasets/{dataset.id}/records/search", params={"limit": limit, "offset": offset},
                          json=PENDING)
        return [item["record"] for item in found["items"]]

    def submit(self, answers: Mapping[str, Mapping[str, Any]]) -> None:
        """Submit forms, by record. Raises DeskRefused with the first one that Argilla did not take."""
        items = [{"record_id": record, "status": "submitted",
                  "values": {name: {"value": value} for name, value in values.items()}} for record, values in answers.items()]
        taken = self.send("POST", "me/responses/bulk", json={"items": items})["items"]
        for record, result in zip(answers, taken, strict=True):
            if result["error"]:
                raise DeskRefused(f"record {record}: Argilla did not take a simulated answer: {result['error']['detail']}")


@contextmanager
def logged_in(url: str, account: Account) -> Iterator[Session]:
    """Log in with name and password, as a person does. Raises DeskUnreachable or DeskRefused."""
    with _client(url) as client:
        token = client.post("/api/v1/token", data={"username": account.username, "password": account.password})
        token.raise_for_status()
        client.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
        yield Session(client)


@contextmanager
def with_key(url: str, api_key: str) -> Iterator[Session]:
    """A session by API key, as the owner's programs have. Raises DeskUnreachable or DeskRefused."""
    with _client(url, headers={"X-Argilla-Api-Key": api_key}) as client:
        yield Session(client)


@contextmanager
def _client(url: str, headers: Mapping[str, str] | None = None) -> Iterator[httpx.Client]:
    import httpx

    try:
        with httpx.Client(base_url=url, headers=headers, timeout=BUSY_SECONDS) as client:
            yield client
    except httpx.HTTPStatusError as error:
        status, detail = error.response.status_code, error.response.text[:300]
        raise DeskRefused(f"{error.request.url}: Argilla answered HTTP {status}: {detail}") from error
    except httpx.RequestError as error:
        raise DeskUnreachable(f"{url}: no Argilla answers ({error or type(error).__name__}); run the demo again, "
                              "it goes on where it stopped") from error
