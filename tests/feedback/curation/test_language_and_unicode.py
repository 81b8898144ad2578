"""Languages are named where a text is long enough, and texts read in the wrong encoding are mended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.curation.language import language_of
from feedback.curation.unicode_repair import repaired

pytest.importorskip("py3langid", reason="py3langid comes with the `curation` extra")
pytest.importorskip("ftfy", reason="ftfy comes with the `curation` extra")

HEBREW = ("\u05d4\u05d7\u05d1\u05d9\u05dc\u05d4 \u05ea\u05d2\u05d9\u05e2 \u05ea\u05d5\u05da \u05d0\u05e8\u05d1\u05e2\u05d4 "
          "\u05d9\u05de\u05d9\u05dd \u05dc\u05d0\u05d7\u05e8 \u05e7\u05d1\u05dc\u05ea \u05d4\u05ea\u05e9\u05dc\u05d5\u05dd "
          "\u05e9\u05dc\u05da \u05d1\u05d1\u05e0\u05e7")


@pytest.mark.parametrize(("text", "language"), [
    ("The parcel is delivered within four working days after the payment.", "en"),
    ("Das Paket wird innerhalb von vier Werktagen nach der Zahlung geliefert.", "de"),
    (HEBREW, "he")])
def test_a_language_is_named(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize("text", ["", "Ja.", "`def f(x): return x`", "12345 " * 50, "\ud800" * 80])
def test_short_texts_and_code_have_none(text: str) -> None:
    assert language_of(text) is None


@pytest.mark.parametrize(("broken", "sound"), [
    ("caf\u00c3\u00a9", "caf\u00e9"), ("cafe\u0301", "caf\u00e9"), ("a\x00b", "ab"), ("\ud800 ok", "\ufffd ok"),
    ("itâ\u20ac\u2122s", "it\u2019s")])
def test_broken_texts_are_mended(broken: str, sound: str) -> None:
    assert repaired(broken) == sound


@pytest.mark.parametrize("text", ["&lt;b&gt;", "\u201cquoted\u201d", "\ufb01", "\uff21", "a\r\nb",
                                  "x\u00b2", "\u0645\u0631\u062d\u0628\u0627", "\U0001f44d\U0001f3fd"])
def test_what_an_author_chose_stays(text: str) -> None:
    assert repaired(text) == text


@given(st.text())
def test_mending_twice_changes_nothing_more(text: str) -> None:
    assert repaired(repaired(text)) == repaired(text)
