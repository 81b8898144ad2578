"""An Argilla server: the SDK's client, requests that outlive a short absence, and errors that say what to do."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from feedback.errors import DeskError, DeskRefused, DeskUnreachable

if TYPE_CHECKING:
    import argilla

TRIES = 3
"""How often a request that may be repeated is sent before the server counts as unreachable."""

MAY_PASS = frozenset({500, 502, 503, 504})
"""Answers of a server that is starting, restarting or overloaded."""


class Server:
    """One Argilla server, seen by one user."""

    def __init__(self, client: argilla.Argilla, url: str, advice: str) -> None:
        self._client = client
        self._url = url
        self._advice = advice
        # The SDK keeps its last client for ever, and with it the open connections.
        self._closing = weakref.finalize(self, client.http_client.close)

    @classmethod
    def open(cls, url: str, api_key: str, *, advice: str) -> Self:
        """The server at `url`. Raises DeskUnreachable with the advice, or DeskRefused when the key is no good."""
        import argilla

        _check(url, api_key, advice)
        with _explained(url, advice):
            return cls(argilla.Argilla(api_url=url, api_key=api_key, retries=1), url, advice)

    def close(self) -> None:
        """Give the connections back; it also happens when the server object is forgotten."""
        self._closing()

    @contextmanager
    def explained(self) -> Iterator[argilla.Argilla]:
        """The SDK's client; its errors inside the block become errors that say what to do."""
        with _explained(self._url, self._advice):
            yield self._client

    def send(self, method: str, path: str, *, missing_is_none: bool = False, **content: Any) -> Any:
        """One request below `/api/v1/` and its JSON; GET and PUT are sent again while the server is away for a moment."""
        with _explained(self._url, self._advice):
            answer = self._send(method, path, content)
            if missing_is_none and answer.status_code == 404:
                return None
            answer.raise_for_status()
            return answer.json() if answer.content else None

    def _send(self, method: str, path: str, content: dict[str, Any]) -> Any:
        from httpx import TransportError

        for left in reversed(range(TRIES if method in {"GET", "PUT"} else 1)):
            try:
                answer = self._client.http_client.request(method, f"/api/v1/{path}", **content)
                if not left or answer.status_code not in MAY_PASS:
                    return answer
            except TransportError:
                if not left:
                    raise
            time.sleep(0.5 * (TRIES - left))
        raise AssertionError("the last try returns or raises")


def _check(url: str, api_key: str, advice: str) -> None:
    """Ask who the key belongs to. The SDK asks as well, but cannot tell a refusal from a page of another program."""
    import httpx

    try:
        with _explained(url, advice):
            answer = httpx.get(f"{url}/api/v1/me", headers={"X-Argilla-Api-Key": api_key}, timeout=30, follow_redirects=True)
            if answer.status_code != 404:
                answer.raise_for_status()
        known = answer.status_code == 200 and "username" in answer.json()
    except (ValueError, TypeError):
        known = False
    if not known:
        raise DeskUnreachable(f"{url}: what answers there is not an Argilla 2.x server; {advice}")


@contextmanager
def _explained(url: str, advice: str) -> Iterator[None]:
    from argilla._exceptions import ArgillaAPIError, ArgillaCredentialsError, SettingsError
    from httpx import HTTPStatusError, RequestError

    try:
        yield
    except ArgillaCredentialsError as error:
        raise _refusal(url, 401, "") from error
    except ArgillaAPIError as error:
        raise _refusal(url, error.status_code, str(error)) from error
    except HTTPStatusError as error:
        raise _refusal(url, error.response.status_code, error.response.text) from error
    except SettingsError as error:
        raise DeskRefused(f"{url}: Argilla did not take the dataset: {error.__cause__ or error}") from error
    except RequestError as error:
        raise DeskUnreachable(f"{url}: no Argilla answers ({error or type(error).__name__}); {advice}") from error


def _refusal(url: str, status: int, detail: str) -> DeskError:
    match status:
        case 401:
            return DeskRefused(f"{url}: the API key is refused; copy the key of an owner from Argilla's user settings")
        case 403:
            return DeskRefused(f"{url}: this API key's user may not do that; use the key of an owner ({detail[:200]})")
        case 500 | 502 | 503 | 504:
            return DeskUnreachable(f"{url}: the Argilla server failed (HTTP {status}); look into its log and try again")
        case _:
            return DeskRefused(f"{url}: Argilla refused (HTTP {status}): {detail[:500]}")
