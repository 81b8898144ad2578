"""Accounts on a real Argilla, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

PASSWORD = "12345678"


def new_annotator(owner: httpx.Client, username: str, workspace: str | None) -> dict[str, str]:
    """A new account: its id and API key. With a workspace it may rate there."""
    user = {"username": username, "first_name": username, "password": PASSWORD, "role": "annotator"}
    made = dict(owner.post("/users", json=user).raise_for_status().json())
    if workspace is not None:
        found = next(one for one in owner.get("/me/workspaces").json()["items"] if one["name"] == workspace)
        owner.post(f"/workspaces/{found['id']}/users", json={"user_id": made["id"]}).raise_for_status()
    return made
