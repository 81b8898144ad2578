"""Personal data masked: the same person or number has the same placeholder everywhere in a project, and nobody can go back.

`alice@example.com` becomes `<EMAIL_302941>`. The number comes from a keyed hash (HMAC-SHA256) of the value in one spelling, so
prompts, answers and rewrites agree without a list of originals that could leak. The key is a file of the project, `pii.key`, mode
0600; without it a placeholder cannot be checked against guesses. Two values share a number once in a million pairs.

Masking twice changes nothing more: placeholders are never looked into.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from feedback.config import PiiConfig
from feedback.errors import InvalidInput
from feedback.guardrails import recognizers
from feedback.guardrails.recognizers import Found, PiiKind

KEY_FILE = "pii.key"
NUMBERS = 1_000_000
_PLACEHOLDER = re.compile(r"<[A-Z]+(?:_[A-Z]+)*_\d{1,6}>")
_MOST_PASSES = 8
"""A text in which masking goes on revealing something after so many passes is not text."""


@dataclass(frozen=True)
class Masked:
    """A text without the personal data that was looked for."""

    text: str
    masked: Mapping[str, int]
    """Kind -> how many were replaced."""
    flagged: Mapping[str, int]
    """Kind -> how many stand in the text still, since these are only pointed out."""


@dataclass(frozen=True)
class Masker:
    """What is masked, what only pointed out, and under which key."""

    key: bytes
    mask: frozenset[PiiKind]
    flag: frozenset[PiiKind]

    @cached_property
    def name(self) -> str:
        """What is done, for manifests. The key is not in it: where nothing was masked, two projects' folders have one hash."""
        return (f"masks {', '.join(sorted(self.mask)) or 'nothing'}; flags {', '.join(sorted(self.flag)) or 'nothing'}; "
                f"recognizers {recognizers.VERSION}")

    def __call__(self, text: str) -> Masked:
        """`text`, masked."""
        masked: Counter[str] = Counter()
        for _ in range(_MOST_PASSES):
            found = _outside_placeholders(text, self.mask)
            if not found:
                break
            masked.update(each.kind for each in found)
            text = self._replaced(text, found)
        flagged = Counter(each.kind for each in _outside_placeholders(text, self.flag - self.mask))
        return Masked(text=text, masked=dict(sorted(masked.items())), flagged=dict(sorted(flagged.items())))

    def _replaced(self, text: str, found: list[Found]) -> str:
        for each in reversed(found):
            text = text[:each.start] + self.placeholder(each.kind, text[each.start:each.end]) + text[each.end:]
        return text

    def placeholder(self, kind: PiiKind, value: str) -> str:
        """What stands for `value`, however it is spaced or capitalised."""
        value = value.translate(recognizers.PLAIN)
        spelt = re.sub(r"[\s()./-]+" if kind not in {"email", "ip", "person"} else r"\s+", " " if kind == "person" else "", value)
        told = hmac.new(self.key, f"{kind}\n{spelt.casefold()}".encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
        return f"<{kind.upper().replace(' ', '_')}_{int.from_bytes(told[:8]) % NUMBERS}>"


def make_masker(config: PiiConfig, key: bytes) -> Masker | None:
    """What masks as `config` says; None when it is off, or on `auto` where presidio is not installed.

    Raises MissingPart when it is on and a package is missing. On `auto` names are looked for only where their model is installed.
    """
    mask, flag = frozenset(config.mask), frozenset(config.flag)
    if config.look == "off" or not mask | flag:
        return None
    if config.look == "auto":
        if not recognizers.is_installed():
            return None
        unknown: frozenset[PiiKind] = frozenset() if recognizers.knows_names() else frozenset({"person"})
        mask, flag = mask - unknown, flag - unknown
    recognizers.require(mask | flag)
    return Masker(key=key, mask=mask, flag=flag)


def why_none(config: PiiConfig) -> str | None:
    """What a person should know when nothing is masked; None when something is, or when that is what they asked for."""
    if config.look == "auto" and not recognizers.is_installed():
        return f"personal data was not looked for: presidio-analyzer is not installed; {recognizers.INSTALL}"
    return None


def project_key(project: Path) -> bytes:
    """The project's key, made at its first use. Raises InvalidInput when the file holds none."""
    path = project / KEY_FILE
    draft = path.with_name(f".{KEY_FILE}.{os.getpid()}")
    if not path.exists():
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
        try:
            os.link(draft, path)  # a second process that is as far keeps the first one's key
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise InvalidInput(f"{path}: found {len(text)} characters; expected 64 hex digits. Restore it from a copy; a new key "
                           "(remove the file) gives everybody new placeholders")
    return bytes.fromhex(text)


def kinds_masked_in(text: str) -> frozenset[str]:
    """The kinds of personal data for which `text` holds placeholders."""
    names = (match.group().strip("<>").rpartition("_")[0] for match in _PLACEHOLDER.finditer(text))
    return frozenset(name.replace("_", " ").lower() for name in names)


def first_placeholder(text: str) -> int:
    """Where the first placeholder of `text` begins; 0 without one."""
    match = _PLACEHOLDER.search(text)
    return match.start() if match else 0


def unnumbered(text: str) -> str:
    """`text` with the kind alone in each placeholder: the same under every key."""
    return _PLACEHOLDER.sub(lambda match: match.group().rpartition("_")[0] + ">", text)


def _outside_placeholders(text: str, kinds: frozenset[PiiKind]) -> list[Found]:
    """Personal data between the placeholders, in order. Each stretch is looked at alone."""
    found: list[Found] = []
    start = 0
    for match in [*_PLACEHOLDER.finditer(text), None]:
        end = match.start() if match else len(text)
        found += [Found(each.kind, start + each.start, start + each.end) for each in recognizers.find(text[start:end], kinds)]
        start = match.end() if match else end
    return found
