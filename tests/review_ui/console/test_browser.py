"""The console in Chromium: what a lead sees, in light and dark, on a screen and on a phone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from review_ui.console.routes import rounds
from review_ui.console.server import ConsoleServer
from tests.review_ui.console.rows import judged, waiting

CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def browser() -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    shown = (judged(0), judged(1, hallucination=0.1), judged(2, promoted=False), waiting(3))
    monkeypatch.setattr(rounds, "round_rows", lambda folder: shown)
    with ConsoleServer(tmp_path, host="127.0.0.1", port=0) as console:
        yield console.url


@pytest.fixture
def page(browser, url: str) -> Iterator:
    opened = browser.new_page(viewport={"width": 1366, "height": 768})
    opened.on("console", lambda message: pytest.fail(f"the browser says: {message.text}"))
    opened.goto(url)
    yield opened
    opened.close()


def test_the_policy_that_forbids_scripts_breaks_nothing_on_the_page(page) -> None:
    assert page.locator("svg circle").count() == 9
    assert page.locator("tbody tr").count() == 4
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground != "rgba(0, 0, 0, 0)"


def test_head_and_trend_are_seen_without_scrolling(page) -> None:
    for seen in (page.get_by_text("waiting: 163 reviews").first, page.get_by_role("img", name="Correct by round")):
        box = seen.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 768


def test_the_reasons_of_a_gate_open_without_a_script(page) -> None:
    reason = page.get_by_text("7 better, 2 worse").first
    assert not reason.is_visible()
    page.get_by_text("advance: hold").first.click()
    assert page.get_by_text("7 better, 2 worse").first.is_visible()


def test_dark_is_dark(page) -> None:
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_nothing_is_wider_than_a_phone(page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
