"""More questions of rare topics, made from those there are by paraphrase templates. Always marked as synthetic.

A synthetic question stays in the family of the one it was made from, so the split holds, and families that are held out are
passed over: nothing synthetic judges a candidate. It is to be asked and its answers to be reviewed like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Literal

from pydantic import Field, field_validator

from feedback.config import Strict, read_yaml
from feedback.ids import FamilyId
from feedback.prompts import PromptLine
from feedback.schemas import Message, Prompt

RARE = 0.25
"""Of the median number of families of a topic, below which a topic is rare."""


class Templates(Strict):
    """Ways to ask the same in other words."""

    kind: Literal["paraphrases"] = "paraphrases"
    templates: tuple[str, ...] = Field(default=(
        "I have a question. {question}", "{question} Please explain briefly.", "Could you tell me this: {question}",
        "A colleague asked me: {question}", "{question} I could not find it in the documentation.",
        "For a customer I need to know: {question}"), min_length=1)
    """Each holds `{question}` once."""

    @field_validator("templates")
    @classmethod
    def _hold_the_question_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [template for template in value if template.count("{question}") != 1 or template.strip() == "{question}"]:
            raise ValueError(f"found {wrong}; each template holds {{question}} once, and something beside it")
        if len(set(value)) < len(value):
            raise ValueError("a template stands in the list twice; remove one")
        return value


def read_templates(path: Path | None) -> Templates:
    """The templates of a file, or the built-in English ones. Raises InvalidInput with every problem."""
    return read_yaml(path, Templates) if path else Templates()


def rare_topics(prompts: Iterable[Prompt]) -> tuple[str, ...]:
    """Topics with fewer families than a quarter of the median topic's, sorted. Questions without a topic are not looked at."""
    families: dict[str, set[FamilyId]] = {}
    for prompt in prompts:
        if prompt.topic is not None and not prompt.synthetic:
            families.setdefault(prompt.topic, set()).add(prompt.family)
    counts = sorted(map(len, families.values()))
    middle = counts[len(counts) // 2] if counts else 0
    return tuple(sorted(topic for topic, found in families.items() if len(found) < RARE * middle))


def paraphrased(prompts: Sequence[Prompt], templates: Templates, *, topics: Iterable[str], held_out: frozenset[FamilyId],
                per_question: int, seed: int) -> list[PromptLine]:
    """Up to `per_question` paraphrases of each question of `topics` that may train, none of which is a question already.

    The same questions, templates and seed give the same lines in the same order.
    """
    wanted, known = set(topics), {prompt.id for prompt in prompts}
    made: list[PromptLine] = []
    for prompt in sorted(prompts, key=lambda row: row.id):
        if prompt.topic not in wanted or prompt.family in held_out or prompt.critical or prompt.synthetic:
            continue
        chosen = list(templates.templates)
        Random(f"augment:{seed}:{prompt.id}").shuffle(chosen)
        for template in chosen[:per_question]:
            line = _line(prompt, template)
            if (made_id := Prompt.of(_messages(line)).id) not in known:
                known.add(made_id)
                made.append(line)
    return made


def _line(prompt: Prompt, template: str) -> PromptLine:
    asked = template.replace("{question}", prompt.text)
    earlier = prompt.messages[:-1]
    return PromptLine(prompt=(*earlier, Message(role="user", content=asked)) if earlier else asked, family=prompt.family,
                      topic=prompt.topic, reference=prompt.reference, answerable=prompt.answerable, synthetic=True)


def _messages(line: PromptLine) -> tuple[Message, ...]:
    return (Message(role="user", content=line.prompt),) if isinstance(line.prompt, str) else line.prompt
