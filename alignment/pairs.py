"""Preference pairs on their way into a trainer: read, refused when they prefer nothing, encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feedback.errors import NothingToDo
from feedback.jsonl import read_rows
from feedback.training_sets.rows import PreferencePair
from sft.chat import Encoded, encoder
from sft.train import raise_unusable, turn_problem

ROWS = "pairs.jsonl"


@dataclass(frozen=True)
class EncodedPair:
    """One pair as tokens; both sides share the prompt."""

    chosen: Encoded
    rejected: Encoded
    margin: float


def read_pairs(training_sets: Path) -> list[PreferencePair]:
    """The pairs of a training-sets folder.

    Raises NothingToDo when there are none, InvalidInput naming every pair with an empty text or two equal ones.
    """
    path = training_sets / ROWS
    pairs = read_rows(path, PreferencePair)
    if not pairs:
        raise NothingToDo(f"{path}: no preferences to train on; ties and undecided sets make none, so review more")
    raise_unusable(path, pairs, _problem)
    return pairs


def _problem(pair: PreferencePair) -> str | None:
    if not pair.chosen.strip() or not pair.rejected.strip():
        return "one of its texts is empty; a preference needs two answers"
    if pair.chosen.strip() == pair.rejected.strip():
        return f"both texts are {pair.chosen.strip()[:40]!r}; a tie is never trained on as a preference"
    return turn_problem(pair.messages)


def encode_pairs(pairs: Sequence[PreferencePair], tokenizer: Any, *, max_length: int,
                 counts: dict[str, int]) -> list[EncodedPair]:
    """The pairs whose both sides fit into `max_length` tokens; the others are dropped and counted.

    Raises NothingToDo when none fits.
    """
    encode = encoder(tokenizer)
    encoded = [EncodedPair(chosen=encode(pair.messages, pair.chosen), rejected=encode(pair.messages, pair.rejected),
                           margin=pair.margin) for pair in pairs]
    kept = [pair for pair in encoded if max(len(pair.chosen), len(pair.rejected)) <= max_length]
    counts |= {"read": len(pairs), "dropped_too_long": len(pairs) - len(kept), "trained": len(kept)}
    if not kept:
        raise NothingToDo(f"all {len(pairs)} pairs have a side of more than {max_length} tokens; raise model.max_length")
    return kept
