"""What reviewers see is what was written, whichever way the page puts it into the document."""

from __future__ import annotations

import html
import shutil
from html.parser import HTMLParser
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.desk.page_text import JOINER, NUL, Positions, read_shown, shown, shown_answer

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters=JOINER) | st.sampled_from("<&/!?#xb;🙂\r\n")
TEXTS = st.text(CHARACTERS, max_size=60)


class Seen(HTMLParser):
    """What an HTML reader takes for text, and whether it took anything for markup."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=False)
        self.text, self.markup = "", False
        self.feed(text)
        self.close()

    def handle_data(self, data: str) -> None:
        self.text += data

    def _markup(self, *found: object) -> None:
        self.markup = True

    handle_starttag = handle_endtag = handle_comment = handle_decl = handle_pi = _markup  # type: ignore[assignment]
    handle_entityref = handle_charref = unknown_decl = _markup  # type: ignore[assignment]


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@given(TEXTS)
def test_read_as_html_a_shown_text_is_text_and_nothing_else(text: str) -> None:
    seen = Seen(shown(text))
    assert (seen.text, seen.markup) == (shown(text), False)
    assert html.unescape(shown(text)) == shown(text)


@given(TEXTS)
def test_a_person_reads_what_was_written(text: str) -> None:
    as_html = text.replace("\x00", NUL).replace("\r\n", " \n").replace("\r", "\n")
    assert read_shown(shown(text)) == as_html


@given(TEXTS)
def test_every_position_that_can_be_marked_is_within_the_length_that_the_server_checks(text: str) -> None:
    assert Positions(text).count == units(shown(text)) <= len(shown_answer(text))


@given(TEXTS.filter(bool), st.data())
def test_characters_go_to_the_page_and_come_back(text: str, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(text) - 1))
    after = data.draw(st.integers(first + 1, len(text)))
    place = Positions(text).on_page(first, after)
    assert Positions(text).characters(*place) == (first, after)
    marked = shown(text).encode("utf-16-le")[2 * place[0]:2 * place[1]].decode("utf-16-le")
    assert read_shown(marked) == read_shown(shown(text[first:after])) or "\r" in text


@pytest.mark.parametrize("text", [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "&lt;b&gt;", "&#60;b>", "<!-- x", "</p>"])
def test_markup_in_an_answer_is_shown_and_not_obeyed(text: str) -> None:
    assert not Seen(shown(text)).markup
    assert read_shown(shown(text)) == text


@pytest.mark.parametrize("text", ["a < b && c", "1 <2", "x & y", "plain"])
def test_a_text_that_holds_no_markup_is_left_as_it_is(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 2), (0, 99), (1, 2)])
def test_a_place_without_characters_is_none(start: int, end: int) -> None:
    # On the page `<b` is three units: the second is the joiner.
    assert Positions("<b").characters(start, end) is None


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_chromium_shows_the_same_whether_the_text_is_set_as_html_or_as_text() -> None:
    from playwright.sync_api import sync_playwright

    chance = Random(0)
    texts = [shown("".join(chance.choices("<&>/!?#;xb19\"'=- \t\r\n\x00\x07\x7f\x85🙂漢\u2028", k=40))) for _ in range(500)]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        seen = browser.new_page().evaluate("""texts => texts.map(text => {
            const element = document.createElement("p");
            element.innerHTML = text;
            return [element.textContent, element.childNodes.length]; })""", texts)
        browser.close()
    assert seen == [[text, 1] for text in texts]
