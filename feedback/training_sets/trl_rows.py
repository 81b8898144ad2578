"""Training rows in the columns that TRL's trainers read, with the people behind each.

Messages and answers are conversations, so that a trainer puts the model's own chat template around them. Columns that a trainer
does not know it leaves alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from feedback.jsonl import read_rows
from feedback.training_sets.rows import KtoExample, PreferencePair, RankedSet, SftExample

Kind = Literal["sft", "pairs", "kto", "reward", "rankings"]
KINDS: tuple[Kind, ...] = get_args(Kind)
TRAINER: dict[Kind, str | None] = {"sft": "SFTTrainer", "pairs": "DPOTrainer", "kto": "KTOTrainer", "reward": "RewardTrainer",
                                   "rankings": None}
"""Who reads which kind; rankings are for Redpen's own ranked trainer."""

Row: TypeAlias = dict[str, Any]
Exported: TypeAlias = SftExample | PreferencePair | KtoExample | RankedSet


def read_kinds(training_sets: Path) -> dict[Kind, list[Row]]:
    """Every kind of row of a training-sets folder, in TRL's columns; a kind without rows is an empty list."""
    return {kind: [convert(row) for row in _read(training_sets / name, model)]
            for kind, (name, model, convert) in _SOURCES.items()}


def _read(path: Path, model: type[Any]) -> Sequence[Any]:
    # Training sets of Redpen 0.1 have no kto.jsonl.
    return read_rows(path, model) if path.exists() else []


def _turns(row: Exported) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in row.messages]


def _answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _behind(row: Exported) -> Row:
    """Who and what a row rests on. TRL keeps its tokens in columns such as `completion_ids`, so these have other names."""
    return {"id": row.id, "prompt_id": row.prompt_id, "family": row.family, "topic": row.topic, "synthetic": row.synthetic,
            "source_items": list(row.sources.items), "source_completions": list(row.sources.completions),
            "source_reviewers": list(row.sources.reviewers), "source_ratings": list(row.sources.ratings)}


def _sft(row: SftExample) -> Row:
    return {"prompt": _turns(row), "completion": _answer(row.completion), "weight": row.weight, "origin": row.origin,
            **_behind(row)}


def _pair(row: PreferencePair) -> Row:
    return {"prompt": _turns(row), "chosen": _answer(row.chosen), "rejected": _answer(row.rejected), "margin": row.margin,
            "reversed_probability": row.reversed_probability, "weight": row.weight, "origin": row.origin,
            "criterion": row.criterion, **_behind(row)}


def _kto(row: KtoExample) -> Row:
    return {"prompt": _turns(row), "completion": _answer(row.completion), "label": row.label, "weight": row.weight,
            **_behind(row)}


def _reward(row: PreferencePair) -> Row:
    """The prompt stands inside both sides: RewardTrainer scores whole conversations."""
    turns = _turns(row)
    return {"chosen": turns + _answer(row.chosen), "rejected": turns + _answer(row.rejected), "margin": row.margin,
            "weight": row.weight, "origin": row.origin, "criterion": row.criterion, **_behind(row)}


def _ranking(row: RankedSet) -> Row:
    return {"prompt": _turns(row), "completions": list(row.completions),
            "pairs": [pair.model_dump(mode="json") for pair in row.pairs], "ties": [list(tie) for tie in row.ties],
            "hallucinated": list(row.hallucinated),
            "spans": [[{"start": span.start, "end": span.end, "label": span.label} for span in own] for own in row.spans],
            **_behind(row)}


_SOURCES: dict[Kind, tuple[str, type[Any], Callable[[Any], Row]]] = {
    "sft": ("sft.jsonl", SftExample, _sft), "pairs": ("pairs.jsonl", PreferencePair, _pair),
    "kto": ("kto.jsonl", KtoExample, _kto), "reward": ("pairs.jsonl", PreferencePair, _reward),
    "rankings": ("rankings.jsonl", RankedSet, _ranking)}


def features(kind: Kind) -> Any:
    """The column types of a kind, the same whatever its rows: a column that happens to be empty keeps its type."""
    from datasets import Features, List, Value

    text, number = Value("string"), Value("float64")
    turns = List({"role": text, "content": text})
    ids = {"id": text, "prompt_id": text, "family": text, "topic": text, "synthetic": Value("bool"),
           **{f"source_{name}": List(text) for name in ("items", "completions", "reviewers", "ratings")}}
    columns: dict[Kind, dict[str, Any]] = {
        "sft": {"prompt": turns, "completion": turns, "weight": number, "origin": text},
        "pairs": {"prompt": turns, "chosen": turns, "rejected": turns, "margin": number, "reversed_probability": number,
                  "weight": number, "origin": text, "criterion": text},
        "kto": {"prompt": turns, "completion": turns, "label": Value("bool"), "weight": number},
        "reward": {"chosen": turns, "rejected": turns, "margin": number, "weight": number, "origin": text, "criterion": text},
        "rankings": {"prompt": turns, "completions": List(text), "ties": List(List(Value("int64"))),
                     "pairs": List({"better": Value("int64"), "worse": Value("int64"), "reversed_probability": number,
                                    "weight": number, "margin": number, "origin": text, "criterion": text}),
                     "hallucinated": List(Value("bool")),
                     "spans": List(List({"start": Value("int64"), "end": Value("int64"), "label": text}))}}
    return Features(columns[kind] | ids)
