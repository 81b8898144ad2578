"""The reviewers' pages in Chromium: they work, they run no script that came with the data, and they ask no other host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from review_ui.appliance.appliance import Running
from tests.review_ui.appliance.desk import PASSWORD, Desk

pytestmark = [pytest.mark.argilla, pytest.mark.browser]

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]
PAYLOAD = ("<img src=x onerror=alert(1)><script>alert(2)</script><iframe srcdoc='<script>parent.alert(3)</script>'></iframe>"
           "<svg onload=alert(4)></svg><a href=\"javascript:alert(5)\">c</a></script><b>bold</b><details open ontoggle=alert(6)>")


@pytest.fixture
def page() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser.new_page(viewport={"width": 1400, "height": 1000})
        browser.close()


def watched(page: Any, home: str) -> dict[str, list[str]]:
    """What must not happen, as it happens."""
    seen: dict[str, list[str]] = {"dialogs": [], "elsewhere": [], "failures": []}

    def dismiss(dialog: Any) -> None:
        seen["dialogs"].append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("request", lambda request: seen["elsewhere"].append(request.url)
            if not request.url.startswith((home, "data:", "blob:")) else None)
    page.on("response", lambda response: seen["failures"].append(f"{response.status} {response.url}")
            if response.status >= 400 and not response.url.endswith("/x") else None)
    return seen


def sign_in(page: Any, running: Running, owner: dict[str, str] | None = None) -> None:
    owner = owner or json.loads(running.owner_file.read_text(encoding="utf-8"))
    page.goto(running.url, wait_until="networkidle")
    page.fill("input[type=text]", owner["username"])
    page.fill("input[type=password]", owner["password"])
    page.keyboard.press("Enter")
    page.wait_for_function("!location.pathname.includes('sign-in')")
    page.wait_for_load_state("networkidle")


def test_an_answer_is_given_in_the_browser(running: Running, desk: Desk, page: Any) -> None:
    dataset = desk.dataset([{"external_id": "r0", "fields": {"prompt": "What is the default of ensure_ascii?"}}])
    seen = watched(page, running.url)
    sign_in(page, running)
    page.goto(f"{running.url}/dataset/{dataset.id}/annotation-mode?page=1&status=pending", wait_until="networkidle")
    page.get_by_text("What is the default of ensure_ascii?").first.wait_for()
    page.keyboard.press("4")
    page.keyboard.press("Enter")
    page.get_by_text("Submitted", exact=False).first.wait_for()
    page.wait_for_load_state("networkidle")
    [record] = desk.call("GET", f"datasets/{dataset.id}/records", params={"include": "responses"})["items"]
    assert [answer["values"]["accuracy"]["value"] for answer in record["responses"]] == [4]
    assert seen == {"dialogs": [], "elsewhere": [], "failures": []}


def test_no_script_that_came_with_the_data_runs(running: Running, desk: Desk, page: Any) -> None:
    dataset = desk.dataset([{"external_id": "r0", "fields": {
        "prompt": f"{PAYLOAD} harmless", "chat": [{"role": "user", "content": PAYLOAD}], "facts": {"a": PAYLOAD}}}])
    desk.call("PATCH", f"datasets/{dataset.id}", json={"guidelines": PAYLOAD})
    seen = watched(page, running.url)
    sign_in(page, running)
    page.goto(f"{running.url}/dataset/{dataset.id}/annotation-mode?page=1&status=pending", wait_until="networkidle")
    page.get_by_text("onerror=alert(1)", exact=False).first.wait_for()
    page.wait_for_timeout(500)
    assert (seen["dialogs"], seen["elsewhere"]) == ([], [])


def test_no_script_in_suggestions_labels_or_names_runs(running: Running, desk: Desk, page: Any) -> None:
    dataset = desk.dataset([{"external_id": "r0", "fields": {"prompt": "shown"}}])
    [record] = desk.call("GET", f"datasets/{dataset.id}/records")["items"]
    for question, value in (("rewrite", PAYLOAD), ("verdict", "wrong")):
        desk.call("PUT", f"records/{record['id']}/suggestions", json={
            "question_id": dataset.questions[question], "value": value, "agent": "model", "score": 0.5})
    labels = [{"value": value, "text": PAYLOAD} for value in ("correct", "wrong", "unclear")]
    for question, kind in (("verdict", "label_selection"), ("order", "ranking")):
        desk.call("PATCH", f"questions/{dataset.questions[question]}", json={
            "title": PAYLOAD, "description": PAYLOAD, "settings": {"type": kind, "options": labels}})
    person = {"username": f"sim-{uuid4().hex[:8]}", "password": PASSWORD, "first_name": PAYLOAD, "last_name": PAYLOAD}
    desk.call("POST", "users", json={**person, "role": "owner"})
    seen = watched(page, running.url)
    sign_in(page, running, person)
    for path in ("", "user-settings", f"dataset/{dataset.id}/settings",
                 f"dataset/{dataset.id}/annotation-mode?page=1&status=pending"):
        page.goto(f"{running.url}/{path}", wait_until="networkidle")
        page.wait_for_timeout(300)
    page.get_by_text("onerror=alert(1)", exact=False).first.wait_for()
    assert (seen["dialogs"], seen["elsewhere"]) == ([], [])
