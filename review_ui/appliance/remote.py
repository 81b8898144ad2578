"""An Argilla 2.x server as its owner sees it through the HTTP API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx

from feedback.errors import DeskRefused, DeskUnreachable

PAGE = 500
"""Records in one request; the server takes at most 500 at once."""
PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Remote:
    """One server and an owner's key to it. Raises DeskUnreachable when nothing answers, DeskRefused when it says no."""

    client: httpx.Client

    @classmethod
    @contextmanager
    def at(cls, url: str, api_key: str) -> Iterator[Self]:
        """Signed in, after making sure that the key is an owner's."""
        address, headers = url.rstrip("/") + "/api/v1/", {"X-Argilla-Api-Key": api_key}
        with httpx.Client(base_url=address, timeout=PATIENCE_SECONDS, headers=headers) as client:
            remote = cls(client)
            me = remote.call("GET", "me")
            if me.get("role") != "owner":
                raise DeskRefused(f"{url}: the key is that of {me.get('username')}, who is {me.get('role')}; take an owner's")
            yield remote

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """The answer's JSON; None when it has none."""
        try:
            answer = self.client.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise DeskUnreachable(f"{self.client.base_url}{path}: no answer ({error or type(error).__name__}); check the address "
                                  "and run the same command again, it goes on where it was") from error
        if answer.is_success:
            return answer.json() if answer.content else None
        raise DeskRefused(f"{method} {answer.url}: {answer.status_code} {answer.text[:500]}")

    def items(self, path: str) -> list[dict[str, Any]]:
        """A list that the server gives whole."""
        return list(self.call("GET", path)["items"])

    def records(self, dataset_id: str) -> Iterator[list[dict[str, Any]]]:
        """All records of a dataset with answers, suggestions and vectors, a page at a time, oldest first."""
        offset = 0
        while page := self.call("GET", f"datasets/{dataset_id}/records", params={
                "include": ["responses", "suggestions", "vectors"], "offset": offset, "limit": PAGE})["items"]:
            yield page
            offset += len(page)
