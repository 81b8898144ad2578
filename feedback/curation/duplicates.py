"""What counts as the same text, and which of several equal answers stands for them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from feedback.curation.control_tokens import neutralise
from feedback.ids import CompletionId, PromptId
from feedback.schemas import Completion, Message, Prompt


def normalised(text: str) -> str:
    """`text` in one spelling: composed Unicode (NFC), `\\n` line ends, no space at the ends of lines or around the whole.

    Nothing that a reader could tell apart becomes equal: NFKC would make x² of x2, and joining spaces would change code.
    """
    lines = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


def conversation(messages: Sequence[Message]) -> tuple[tuple[str, str], ...]:
    """What is asked, as a key: equal for prompts that differ in spelling only, before and after control tokens are defused."""
    return tuple((message.role, normalised(neutralise(message.content).text)) for message in messages)


def stand_ins(completions: Iterable[Completion], prompts: Mapping[PromptId, Prompt]) -> dict[CompletionId, Completion]:
    """For each completion that repeats another's text to the same question, the one that stands for both.

    That is the one with the lowest id, so the choice does not depend on the order of rows. Completions that nothing
    repeats, and the stand-ins themselves, are left out.
    """
    firsts: dict[object, Completion] = {}
    repeated: dict[CompletionId, Completion] = {}
    for completion in sorted(completions, key=lambda row: row.id):
        key = (conversation(prompts[completion.prompt_id].messages), normalised(completion.text))
        first = firsts.setdefault(key, completion)
        if first is not completion:
            repeated[completion.id] = first
    return repeated
