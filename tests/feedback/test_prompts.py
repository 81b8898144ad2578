"""A prompts file is read with its marks, and a synthetic question is refused where it would judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedback.errors import InvalidInput
from feedback.prompts import read_prompts
from feedback.schemas import Message, Prompt


def test_the_mark_of_a_synthetic_question_is_read_and_is_no_part_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "How?", "synthetic": true}\n')
    (read,) = read_prompts(path)
    assert read.synthetic
    assert read.id == Prompt.of([Message(role="user", content="How?")]).id


def test_a_synthetic_question_among_the_critical_ones_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "critical.jsonl"
    path.write_text('{"prompt": "A?", "reference": "a"}\n{"prompt": "B?", "reference": "b", "synthetic": true}\n')
    with pytest.raises(InvalidInput, match=r"critical.jsonl:2: 'B\?' is synthetic; a critical question must be one that people"):
        read_prompts(path, critical=True)


def test_a_prompt_cannot_be_both() -> None:
    with pytest.raises(ValueError, match="a synthetic question cannot be critical"):
        Prompt.of([Message(role="user", content="How?")], critical=True, synthetic=True)
