"""Layouts as Argilla's settings, and Argilla's settings as layouts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, assert_never

from feedback.desk.layout import ANSWER, ITEM, Field, Layout, Question

if TYPE_CHECKING:
    import argilla

KINDS = {"rating": "rating", "label_selection": "label", "multi_label_selection": "labels", "span": "span", "text": "text",
         "ranking": "ranking"}
"""Argilla's question types and ours."""


def settings(layout: Layout, client: argilla.Argilla) -> argilla.Settings:
    """What Argilla needs to make the dataset.

    A field is markdown only where the rubric says so: Argilla hides what it takes for markup (`__init__`, `*args`), and reviewers
    judge what was written. The item's id is metadata that annotators are not shown.
    """
    import argilla

    fields = [argilla.TextField(name=field.name, title=field.title, required=field.required, use_markdown=field.markdown,
                                client=client)
              for field in layout.fields]
    return argilla.Settings(
        guidelines=layout.guidelines, fields=fields, questions=[_question(question, client) for question in layout.questions],
        metadata=[argilla.TermsMetadataProperty(name=ITEM, title="Redpen item", visible_for_annotators=False, client=client)],
        distribution=argilla.TaskDistribution(min_submitted=layout.reviews))


def _question(question: Question, client: argilla.Argilla) -> Any:
    import argilla

    same: dict[str, Any] = {"name": question.name, "title": question.title, "description": question.description,
                            "required": question.required, "client": client}
    options = dict(question.options)
    match question.kind:
        case "rating":
            return argilla.RatingQuestion(values=[int(value) for value in options], **same)
        case "label":
            return argilla.LabelQuestion(labels=options, **same)
        case "labels":
            return argilla.MultiLabelQuestion(labels=options, **same)
        case "span":
            return argilla.SpanQuestion(field=ANSWER, labels=options, allow_overlapping=False, **same)
        case "ranking":
            return argilla.RankingQuestion(values=options, **same)
        case "text":
            return argilla.TextQuestion(use_markdown=False, **same)
        case _:
            assert_never(question.kind)


def read_layout(dataset: Mapping[str, Any], fields: Iterable[Mapping[str, Any]], questions: Iterable[Mapping[str, Any]],
                ) -> Layout | None:
    """The layout of a dataset as the server describes it; None when it holds what no layout has."""
    found = list(questions)
    if any(question["settings"]["type"] not in KINDS for question in found):
        return None
    asked = tuple(Question(
        kind=KINDS[one["settings"]["type"]], name=one["name"], title=one["title"], description=one["description"] or "",  # type: ignore[arg-type]
        required=one["required"], options=tuple((str(option["value"]), str(option.get("text", option["value"])))
                                                for option in one["settings"].get("options", ()))) for one in found)
    shown = tuple(Field(name=one["name"], title=one["title"], required=one["required"],
                        markdown=one["settings"].get("use_markdown", False)) for one in fields)
    return Layout(name=dataset["name"], guidelines=dataset["guidelines"] or "", fields=shown, questions=asked,
                  reviews=dataset["distribution"]["min_submitted"])


def changes(found: Iterable[Mapping[str, Any]], layout: Layout) -> Iterator[tuple[str, dict[str, Any]]]:
    """(id, what to change) for each field or question of the server whose wording differs from the layout."""
    wanted: dict[str, dict[str, Any]] = {field.name: {"title": field.title, "settings": {
        "type": "text", "use_markdown": field.markdown}} for field in layout.fields}
    wanted |= {question.name: {"title": question.title, "description": question.description} for question in layout.questions}
    for one in found:
        change = {key: text for key, text in wanted.get(one["name"], {}).items() if one.get(key) != text}
        if change:
            yield one["id"], change
