"""Items to Argilla records, and Argilla answers to ratings. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from feedback.desk.earlier import said
from feedback.desk.form import Form
from feedback.desk.layout import (
    COMMENT,
    EARLIER,
    FLAGS,
    ITEM,
    PROMPT,
    RANKING,
    REFERENCE,
    REWRITE,
    SPANS,
    TIE,
    VERDICT,
    answer_fields,
)
from feedback.desk.page_text import EMPTY, Positions, read_shown, shown, shown_answer, shown_markdown
from feedback.desk.premark import suggested_mark, unsupported
from feedback.ids import CompletionId, ItemId
from feedback.rubric import Option, Rubric
from feedback.schemas import Completion, Flag, Prompt, Queue, RankAnswer, RateAnswer, ReviewItem, VerdictValue

__all__ = ["EMPTY", "RecordDraft", "conversation", "decode_answer", "encode_answer", "read_shown", "record_of"]


NO_REFERENCE = "(none was given)"
"""Shown on a rank page for a prompt without one."""


@dataclass(frozen=True)
class RecordDraft:
    """One item as Argilla takes it."""

    item_id: ItemId
    """The record's external id: pushing it again finds the record instead of making a second one."""
    fields: dict[str, str]
    metadata: Mapping[str, object]
    suggestions: Mapping[str, object] = field(default_factory=dict)
    """What the form begins with, by question; nothing of it counts until the reviewer submits."""


def record_of(item: ReviewItem, *, prompt: Prompt, completions: Mapping[CompletionId, Completion], rubric: Rubric | None = None,
              earlier: Sequence[RateAnswer | RankAnswer] = ()) -> RecordDraft:
    """The item as a record, its answers in display order.

    `rubric`: with the suggestions that it allows. `earlier`: what was said of the item that this one settles, shown without
    names.
    """
    plain = rubric is None or not rubric.markdown
    show = shown if plain else shown_markdown
    fields = {PROMPT: show(conversation(prompt))}
    reference = (prompt.reference or "").strip()
    if reference or item.queue is Queue.RANK or item.settles:
        # Where texts stand side by side it is always there: the page lays them out by their place after it.
        fields[REFERENCE] = show(prompt.reference or "") if reference else NO_REFERENCE
    names = dict(zip(item.completion_ids, answer_fields(len(item.completion_ids)), strict=True))
    for completion_id, name in names.items():
        text = completions[completion_id].text
        marked = item.queue is Queue.RATE and rubric is not None and bool(rubric.spans)
        fields[name] = shown_answer(text) if plain or marked else shown_markdown(text or EMPTY)
    if item.settles:
        fields[EARLIER] = shown(said(earlier, texts=[completions[one].text for one in item.completion_ids], names=names))
    suggestions = _suggestions(item, prompt, completions, rubric) if rubric else {}
    return RecordDraft(item_id=item.id, fields=fields, metadata={ITEM: item.id}, suggestions=suggestions)


def _suggestions(item: ReviewItem, prompt: Prompt, completions: Mapping[CompletionId, Completion], rubric: Rubric,
                 ) -> dict[str, object]:
    """Marks made beforehand and the text that a rewrite starts from, as far as the rubric wants them."""
    if item.queue is Queue.RANK:
        return {}
    answer = completions[item.completion_ids[0]].text
    found: dict[str, object] = {}
    if rubric.rewrite and rubric.rewrite_starts == "answer" and answer.strip():
        found[REWRITE] = shown(answer)
    mark = suggested_mark(rubric) if rubric.suggestions and prompt.reference else None
    if mark:
        positions = Positions(answer)
        places = [positions.on_page(*place) for place in unsupported(answer, f"{prompt.reference}\n{conversation(prompt)}")]
        found[SPANS] = [{"label": mark.value, "start": start, "end": end} for start, end in places]
    return {name: value for name, value in found.items() if value}


def conversation(prompt: Prompt) -> str:
    """The prompt as one text: a single question as it is, several messages each under its speaker."""
    if len(prompt.messages) == 1:
        return prompt.text
    return "\n\n".join(f"{message.role.capitalize()}:\n{message.content}" for message in prompt.messages)


def encode_answer(answer: RateAnswer | RankAnswer, *, item: ReviewItem, completions: Mapping[CompletionId, Completion],
                  rubric: Rubric | None = None) -> dict[str, Any]:
    """The answer as the page would submit it: question name to value, questions left empty left out.

    `rubric`: leave out the verdict and the flags where it does not ask for them, since they follow from the choices.
    """
    values: dict[str, Any]
    match answer:
        case RateAnswer():
            positions = Positions(completions[item.completion_ids[0]].text if answer.spans else "")
            places = [(span.label, *positions.on_page(span.start, span.end)) for span in answer.spans]
            spans = [{"label": label, "start": start, "end": end} for label, start, end in places]
            flags = [flag.value for flag in answer.flags]
            choices = {name: chosen if isinstance(chosen, str) else list(chosen) for name, chosen in answer.choices.items()}
            values = {**choices, **answer.criteria, SPANS: spans}
            values |= {VERDICT: answer.verdict.value} if rubric is None or rubric.verdict else {}
            values |= {FLAGS: flags} if rubric is None or rubric.flags else {}
        case RankAnswer():
            names = dict(zip(item.completion_ids, answer_fields(len(item.completion_ids)), strict=True))
            ranks = {names[one]: rank for rank, tier in enumerate(answer.tiers, start=1) for one in tier}
            values = {RANKING: _better_of_two(ranks) if len(ranks) == 2 else [
                {"value": name, "rank": ranks[name]} for name in sorted(ranks)]}
        case _:
            assert_never(answer)
    values |= {REWRITE: answer.rewrite, COMMENT: answer.comment}
    return {name: value for name, value in values.items() if value not in (None, [], "")}


def _better_of_two(ranks: Mapping[str, int]) -> str:
    first, second = sorted(ranks, key=lambda name: ranks[name])
    return TIE if ranks[first] == ranks[second] else first


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
    choices = form.choices()
    chosen = _chosen(choices, rubric)
    found: dict[str, Any] = {"criteria": form.criteria(), "verdict": form.verdict() if rubric.verdict else _worst(chosen),
                             "flags": _flags(form.flags() if rubric.flags else (), chosen), "choices": choices,
                             "spans": form.spans(answer), "rewrite": form.rewrite([answer]), "comment": form.text(COMMENT)}
    form.finish()
    return RateAnswer(**found)


def _chosen(choices: Mapping[str, str | tuple[str, ...]], rubric: Rubric) -> list[Option]:
    values = {name: (value,) if isinstance(value, str) else value for name, value in choices.items()}
    return [option for choice in rubric.choices for option in choice.options if option.value in values.get(choice.name, ())]


def _worst(chosen: Sequence[Option]) -> VerdictValue:
    """The verdict that follows from the options: the worst of theirs, and nothing known when none has one."""
    given = {option.verdict for option in chosen}
    order = (VerdictValue.INCORRECT, VerdictValue.PARTIALLY_CORRECT, VerdictValue.CORRECT)
    return next((verdict for verdict in order if verdict in given), VerdictValue.CANNOT_TELL)


def _flags(ticked: Sequence[Flag], chosen: Sequence[Option]) -> tuple[Flag, ...]:
    return tuple(flag for flag in Flag if flag in ticked or flag in {option.flag for option in chosen})
