"""A user's own texts as items: experts classify them and mark what they name. No model wrote them, and none learns from them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from feedback.config import Strict
from feedback.errors import InvalidInput
from feedback.ids import PolicyId
from feedback.jsonl import read_numbered
from feedback.rubric import Rubric
from feedback.schemas import Completion, Decoding, Message, Prompt, Purpose, Queue, ReviewItem
from feedback.store.store import Store

POLICY = PolicyId("texts")
"""Stands for whoever wrote the texts."""


class TextLine(Strict):
    """One line of a texts file."""

    text: str = Field(min_length=1)
    """What experts read and mark."""
    source: str | None = None
    """Shown above it: where it is from, or what it answers."""


def read_texts(path: Path) -> list[TextLine]:
    """The texts of a file, in order. Raises InvalidInput listing every line that is malformed, empty or repeated."""
    problems: list[str] = []
    found: dict[str, TextLine] = {}
    for number, line in read_numbered(path, TextLine):
        if not line.text.strip():
            problems.append(f"{path}:{number}: the text is empty")
        if line.text in found:
            problems.append(f"{path}:{number}: {line.text[:60]!r} stands in the file twice; remove one")
        found[line.text] = line
    if problems:
        raise InvalidInput(problems)
    return list(found.values())


def add_texts(store: Store, rubric: Rubric, lines: Iterable[TextLine], *, reviews: int) -> int:
    """Queue the texts for review and return how many items are new.

    Raises InvalidInput when the rubric asks for the verdict: a text is no answer, and nothing of it may train a model.
    """
    if rubric.verdict:
        raise InvalidInput("rubric.yaml: it asks for the verdict on an answer, but texts are no answers; use a rubric with "
                           "`verdict: false`, such as `redpen init DIR --rubric labels`")
    made = [(Prompt.of([Message(role="user", content=line.source or rubric.title)], family="texts"), line.text) for line in lines]
    completions = [Completion.of(prompt_id=prompt.id, policy_id=POLICY, index=0, text=text, decoding=Decoding(engine="a person"))
                   for prompt, text in made]
    before = len(store.items())
    store.add_prompts(prompt for prompt, _ in made)
    store.add_completions(completions)
    store.add_items(ReviewItem.of(queue=Queue.RATE, purpose=Purpose.TEXTS, round=0, prompt_id=row.prompt_id,
                                  completion_ids=[row.id], reviews=reviews) for row in completions)
    return len(store.items()) - before
