"""A house's words replace others only where they are told to, as whole words; what would never end is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.curation.terminology import Terminology, read_terminology
from feedback.errors import InvalidInput

TERMS = Terminology.model_validate({"kind": "terminology", "terms": [
    {"preferred": "e-mail", "instead_of": ["email", "electronic mail"], "replace": True},
    {"preferred": "customer", "instead_of": ["client"]}, {"instead_of": ["guys"]},
    {"preferred": "United States", "instead_of": ["US"], "replace": True, "match_case": True}]})


@pytest.mark.parametrize(("text", "expected"), [
    ("Send an email.", "Send an e-mail."), ("Email us", "E-mail us"), ("EMAIL", "E-MAIL"), ("two emails", "two emails"),
    ("an electronic  mail", "an e-mail"), ("x-email-y", "x-email-y"), ("tell us in the US", "tell us in the United States"),
    ("\u0645\u0631\u062d\u0628\u0627 email", "\u0645\u0631\u062d\u0628\u0627 e-mail")])
def test_whole_words_are_replaced_and_inflected_ones_stay(text: str, expected: str) -> None:
    assert TERMS(text).text == expected


@pytest.mark.parametrize("text", [
    "`email = 1`", "```python\nemail = 1\n```", "~~~\nemail\n~~~", "```\nemail, never closed", "https://example.org/email/us",
    "msg.email", "email.header", "email@example.org", "`guys`"])
def test_code_addresses_and_dotted_names_stay_letter_by_letter(text: str) -> None:
    termed = TERMS(f"{text}")
    assert (termed.text, dict(termed.flagged)) == (text, {})
    if "closed" not in text:
        assert TERMS(f"An email: {text} (email)").text == f"An e-mail: {text} (e-mail)"


def test_a_term_may_be_a_dotted_name() -> None:
    terms = Terminology.model_validate({"kind": "terminology", "terms": [
        {"preferred": "Node.js", "instead_of": ["node.js"], "replace": True, "match_case": True}]})
    assert terms("use node.js, not node.js.org or `node.js`").text == "use Node.js, not node.js.org or `node.js`"


def test_what_is_not_to_be_replaced_is_pointed_out() -> None:
    termed = TERMS("The client and the guys")
    assert termed.text == "The client and the guys"
    assert dict(termed.flagged) == {"client (use customer)": 1, "guys": 1}


@given(st.lists(st.sampled_from(["email", "Email", "client", "US", "us", "e-mail", "mail", "electronic", "-"])).map(" ".join))
def test_doing_it_twice_changes_nothing_more(text: str) -> None:
    assert TERMS(TERMS(text).text).text == TERMS(text).text


@pytest.mark.parametrize(("terms", "problem"), [
    ([{"preferred": "b", "instead_of": ["a"]}, {"preferred": "a", "instead_of": ["b"]}], "in which 'b' is told not"),
    ([{"preferred": "b", "instead_of": ["a"]}, {"preferred": "c", "instead_of": ["b"]}], "in which 'b' is told not"),
    ([{"preferred": "email address", "instead_of": ["email"], "replace": True}], "in which 'email' is told not to be written"),
    ([{"preferred": "x", "instead_of": ["a"]}, {"preferred": "y", "instead_of": ["A"]}], "stands in `instead_of` 2 times"),
    ([{"instead_of": ["a"], "replace": True}], "there is nothing to write"), ([{"instead_of": [" "]}], "holds an empty text")])
def test_terms_that_cannot_work_are_refused(terms: list[dict[str, object]], problem: str, tmp_path: Path) -> None:
    import json

    path = tmp_path / "terminology.yaml"
    path.write_text("kind: terminology\nterms: " + json.dumps(terms))
    with pytest.raises(InvalidInput, match=problem):
        read_terminology(path)


def test_a_word_that_differs_in_case_alone_can_be_preferred() -> None:
    terms = Terminology.model_validate({"kind": "terminology", "terms": [
        {"preferred": "GitHub", "instead_of": ["github", "Github"][:1], "replace": True, "match_case": True}]})
    assert terms("on github and GitHub").text == "on GitHub and GitHub"


def test_a_thousand_terms_and_a_long_text_are_quick() -> None:
    terms = Terminology.model_validate({"kind": "terminology", "terms": [
        {"preferred": f"good{at}", "instead_of": [f"bad{at}"], "replace": True} for at in range(300)]})
    assert terms("bad299 " * 2_000).text == "good299 " * 2_000
    for one in ("x", "x.", "@", "`", "a@", "://"):
        assert TERMS(one * 200_000).replaced == {}
