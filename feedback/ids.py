"""Names of things: typed ids, canonical JSON and content hashes.

An id made here is a hash of the content it names, so the same content has the same id on every machine, and a
changed byte cannot keep its name.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NewType

PromptId = NewType("PromptId", str)
FamilyId = NewType("FamilyId", str)
CompletionId = NewType("CompletionId", str)
ItemId = NewType("ItemId", str)
RatingId = NewType("RatingId", str)
ReviewerId = NewType("ReviewerId", str)
PolicyId = NewType("PolicyId", str)
ExampleId = NewType("ExampleId", str)

HASH_LENGTH = 24
"""Hex digits kept in an id: 96 bits."""


def canonical_json(value: Any) -> str:
    """One spelling per value: sorted keys, no spaces, plain UTF-8, no NaN. Raises ValueError on NaN and infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(tag: str, value: Any) -> str:
    """`tag-<24 hex digits>` of the SHA-256 of the tag and the value's canonical JSON.

    The tag is hashed as well, so equal content of two kinds never shares an id.
    """
    text = f"{tag}\n{canonical_json(value)}"
    return f"{tag}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:HASH_LENGTH]}"


def file_hash(path: Path) -> str:
    """SHA-256 of the file's bytes, 64 hex digits, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def unit_interval(text: str) -> float:
    """A fixed pseudo-random number in [0, 1) for a text: the same text gives the same number for ever."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64
