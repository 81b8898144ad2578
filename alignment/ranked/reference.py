"""Reference log-probabilities on disk, per token, named by everything that they depend on.

A scope folder stands for one reference policy, precision, attention path, tokenizer and version of this code; inside it
each completion is found by the hash of its prompt's and its own token ids. Numbers are float32, those of a float64 model
float64. Segments are written whole under the hash of their bytes: writers never meet, a kill leaves no half segment, and
a damaged one is noticed and computed again.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from feedback.config import Strict
from feedback.ids import content_hash
from feedback.terminal import note

ENGINE_VERSION = 1
"""Raise it when the numbers that this engine computes change."""
SUFFIX = ".logps"


class Scope(Strict):
    """Everything but the tokens that a reference log-probability depends on."""

    base: str
    """Content hash of the base model, or its id and revision."""
    adapter: str
    """Content hash of the reference adapter; `none` for the base alone."""
    dtype: str
    attention: str
    tokenizer: str
    engine: int = ENGINE_VERSION

    @property
    def name(self) -> str:
        """The folder's name."""
        return content_hash("reference", self.model_dump())


def completion_key(prompt: Sequence[int], completion: Sequence[int]) -> str:
    """32 hex digits for a prompt and a completion as they are after truncation."""
    digest = hashlib.sha256(struct.pack(f"<q{len(prompt)}q{len(completion)}q", len(prompt), *prompt, *completion))
    return digest.hexdigest()[:32]


def tokenizer_hash(tokenizer: Any) -> str:
    """Names a tokenizer by its vocabulary, its own serialised form where it has one, and its chat template."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    form = backend.to_str() if backend is not None else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    return content_hash("tokenizer", [form, tokenizer.chat_template, tokenizer.eos_token_id])


class ReferenceCache:
    """The log-probabilities of one scope, under `root`. What other writers add later is seen after `refresh()`."""

    def __init__(self, root: Path, scope: Scope) -> None:
        self.folder = root / scope.name
        self.folder.mkdir(parents=True, exist_ok=True)
        described = self.folder / "scope.json"
        if not described.exists():
            self._publish(described, scope.model_dump_json(indent=1).encode())
        self._values: dict[str, array[float]] = {}
        self._read: set[str] = set()
        self.refresh()

    def refresh(self) -> None:
        """Read the segments that have appeared since; a damaged one is named, set aside and its content computed again."""
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            if path.name in self._read:
                continue
            content = path.read_bytes()
            if _digest(content) != path.stem:
                note(f"{path}: damaged (its bytes are not those it was named by); set aside, and computed again")
                os.replace(path, path.with_suffix(".damaged"))
                continue
            self._values.update(_unpacked(content))
            self._read.add(path.name)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str) -> array[float]:
        """Per-token log-probabilities. Raises KeyError when they are not there."""
        return self._values[key]

    def add(self, values: Mapping[str, array[float]]) -> None:
        """Keep these, as one segment. Values that are already there are left as they are."""
        fresh = {key: numbers for key, numbers in values.items() if key not in self._values}
        if not fresh:
            return
        content = _packed(fresh)
        path = self.folder / (_digest(content) + SUFFIX)
        self._publish(path, content)
        self._values.update(fresh)
        self._read.add(path.name)

    def _publish(self, path: Path, content: bytes) -> None:
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:48]


def _packed(values: Mapping[str, array[float]]) -> bytes:
    """A length, a JSON header of (key, count, `f` or `d`) in order, the numbers in little-endian."""
    header = json.dumps([(key, len(numbers), numbers.typecode) for key, numbers in values.items()]).encode()
    body = b"".join(struct.pack(f"<{len(numbers)}{numbers.typecode}", *numbers) for numbers in values.values())
    return struct.pack("<q", len(header)) + header + body


def _unpacked(content: bytes) -> dict[str, array[float]]:
    size = struct.unpack_from("<q", content)[0]
    start, found = 8 + size, {}
    for key, count, code in json.loads(content[8:start]):
        found[key] = array(code, struct.unpack_from(f"<{count}{code}", content, start))
        start += found[key].itemsize * count
    return found
