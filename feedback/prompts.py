"""Prompts as people write them: `prompts.jsonl` and `critical.jsonl`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from feedback.config import Strict
from feedback.errors import InvalidInput
from feedback.jsonl import read_numbered
from feedback.schemas import Message, Prompt


class PromptLine(Strict):
    """One line of a prompts file."""

    prompt: str | tuple[Message, ...] = Field(min_length=1)
    """The question, or a conversation whose last message is the user's."""
    family: str | None = None
    """Paraphrases of one question share a family; without one the prompt is its own."""
    topic: str | None = None
    """Slice of the figures it belongs to."""
    reference: str | None = None
    """The known answer, shown to reviewers as evidence."""
    answerable: bool = True
    """False where the right answer is that it cannot be known."""
    synthetic: bool = False
    """True where a model or a template wrote the question: it may train, and judges nothing."""


def read_prompts(path: Path, *, critical: bool = False) -> list[Prompt]:
    """The prompts of a file, in order. With `critical`, each needs a reference.

    Raises InvalidInput listing every line that is malformed, empty, repeated, or critical without a reference or though
    synthetic.
    """
    problems: list[str] = []
    prompts: dict[str, Prompt] = {}
    for number, line in read_numbered(path, PromptLine):
        where = f"{path}:{number}"
        messages = (Message(role="user", content=line.prompt),) if isinstance(line.prompt, str) else line.prompt
        prompt = Prompt.of(messages, family=line.family, topic=line.topic, reference=line.reference,
                           answerable=line.answerable, critical=critical and not line.synthetic, synthetic=line.synthetic)
        if messages[-1].role != "user":
            problems.append(f"{where}: the last message is the {messages[-1].role}'s; it must be the user's")
        if not prompt.text.strip():
            problems.append(f"{where}: the question is empty")
        if critical and not (line.reference or "").strip():
            problems.append(f"{where}: {prompt.text[:60]!r} has no reference; a critical question needs its known answer")
        if critical and line.synthetic:
            problems.append(f"{where}: {prompt.text[:60]!r} is synthetic; a critical question must be one that people asked")
        if prompt.id in prompts:
            problems.append(f"{where}: {prompt.text[:60]!r} stands in the file twice; remove one")
        prompts[prompt.id] = prompt
    if problems:
        raise InvalidInput(problems)
    return list(prompts.values())
