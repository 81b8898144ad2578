"""Items to Argilla records, and Argilla answers to ratings. Pure.

Argilla's page puts a field's text into the document as HTML: a tag in a model's answer would be rendered, a script in it
would run as the reviewer, and marked positions would be counted in what is left. So a text is escaped on its way out and
the reviewer sees exactly the characters that were written. Browsers count marked positions in UTF-16 code units; they are
converted to characters here.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from feedback.desk.form import Form
from feedback.desk.layout import COMMENT, FLAGS, ITEM, PROMPT, RANKING, REFERENCE, REWRITE, SPANS, VERDICT, answer_fields
from feedback.ids import CompletionId, ItemId
from feedback.rubric import Rubric
from feedback.schemas import Completion, Prompt, Queue, RankAnswer, RateAnswer, ReviewItem

EMPTY = "(the answer is empty)"
"""Shown for an answer without text: Argilla would show nothing at all."""

NUL = "\N{SYMBOL FOR NULL}"
"""Stands for U+0000, which neither HTML nor PostgreSQL can hold."""


@dataclass(frozen=True)
class RecordDraft:
    """One item as Argilla takes it."""

    item_id: ItemId
    """The record's external id: pushing it again finds the record instead of making a second one."""
    fields: dict[str, str]
    metadata: dict[str, str]


def record_of(item: ReviewItem, *, prompt: Prompt, completions: Mapping[CompletionId, Completion]) -> RecordDraft:
    """The item as a record, its answers in display order."""
    fields = {PROMPT: shown(conversation(prompt))}
    if prompt.reference and prompt.reference.strip():
        fields[REFERENCE] = shown(prompt.reference)
    for name, completion_id in zip(answer_fields(len(item.completion_ids)), item.completion_ids, strict=True):
        fields[name] = _markable(shown(completions[completion_id].text or EMPTY))
    return RecordDraft(item_id=item.id, fields=fields, metadata={ITEM: item.id})


def conversation(prompt: Prompt) -> str:
    """The prompt as one text: a single question as it is, several messages each under its speaker."""
    if len(prompt.messages) == 1:
        return prompt.text
    return "\n\n".join(f"{message.role.capitalize()}:\n{message.content}" for message in prompt.messages)


def shown(text: str) -> str:
    """The text so that Argilla's page shows its very characters and runs none of them."""
    return html.escape(text, quote=False).replace("\r", "&#13;").replace("\x00", NUL)


def _markable(text: str) -> str:
    # The server checks marked positions against the length in characters, browsers count astral ones twice: as
    # character references they are long enough for both.
    return "".join(char if ord(char) < 0x10000 else f"&#{ord(char)};" for char in text)


def read_shown(field: str) -> str:
    """What a reviewer reads in a field: the inverse of `shown`, for readers that use the API and not the page."""
    return html.unescape(field)


def encode_answer(answer: RateAnswer | RankAnswer, *, item: ReviewItem,
                  completions: Mapping[CompletionId, Completion]) -> dict[str, Any]:
    """The answer as the page would submit it: question name to value, questions left empty left out."""
    values: dict[str, Any]
    match answer:
        case RateAnswer():
            text = completions[item.completion_ids[0]].text
            spans = [{"label": span.label, "start": units(text[:span.start]), "end": units(text[:span.end])}
                     for span in answer.spans]
            flags = [flag.value for flag in answer.flags]
            values = {**answer.criteria, VERDICT: answer.verdict.value, FLAGS: flags, SPANS: spans}
        case RankAnswer():
            names = dict(zip(item.completion_ids, answer_fields(len(item.completion_ids)), strict=True))
            ranks = {names[one]: rank for rank, tier in enumerate(answer.tiers, start=1) for one in tier}
            values = {RANKING: [{"value": name, "rank": ranks[name]} for name in sorted(ranks)]}
        case _:
            assert_never(answer)
    values |= {REWRITE: answer.rewrite, COMMENT: answer.comment}
    return {name: value for name, value in values.items() if value not in (None, [], "")}


def units(text: str) -> int:
    """How many UTF-16 code units the text has: how browsers count."""
    return len(text) + sum(ord(char) > 0xFFFF for char in text)


def decode_answer(values: Mapping[str, Any], *, item: ReviewItem, completions: Mapping[CompletionId, Completion],
                  rubric: Rubric) -> RateAnswer | RankAnswer:
    """The answer in a submitted form, blind order undone. Raises InvalidInput with everything that cannot be read."""
    form = Form(values, rubric)
    texts = {completion: completions[completion].text for completion in item.completion_ids}
    if item.queue is Queue.RANK:
        tiers = form.tiers(item.completion_ids)
        best = [texts[completion] for completion in (tiers[0] if tiers else ())]
        rewrite, comment = form.rewrite(best), form.text(COMMENT)
        form.finish()
        return RankAnswer(tiers=tiers, rewrite=rewrite, comment=comment)
    (answer,) = texts.values()
    found: dict[str, Any] = {"criteria": form.criteria(), "verdict": form.verdict(), "flags": form.flags(),
                             "spans": form.spans(answer), "rewrite": form.rewrite([answer]), "comment": form.text(COMMENT)}
    form.finish()
    return RateAnswer(**found)
