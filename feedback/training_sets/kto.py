"""KTO rows: one answer each, and whether people want it. For trainers that need no pairs (Ethayarajh et al. 2024, 2402.01306)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from feedback.aggregation.conclusions import Sources
from feedback.config import SetsConfig
from feedback.curation.quality import shows_nothing
from feedback.ids import ExampleId, content_hash
from feedback.schemas import VerdictValue
from feedback.training_sets.judged_apart import is_safe
from feedback.training_sets.material import Material, TextKey, united
from feedback.training_sets.rows import KtoExample, SftExample


@dataclass(frozen=True)
class Labelled:
    """The rows, sorted by id, and the account of the answers that have no label."""

    rows: tuple[KtoExample, ...]
    left_out: Mapping[str, int]
    """Reason -> answers."""


def label(material: Material, demonstrations: Iterable[SftExample], sets: SetsConfig) -> Labelled:
    """Demonstrations are wanted; incorrect, false and unsafe answers are not. One row for each question and text."""
    said: dict[TextKey, dict[bool, list[Sources]]] = {}
    for row in demonstrations:
        said.setdefault(material.text_key(row.prompt_id, row.completion), {}).setdefault(True, []).append(row.sources)
    neither, rubric = 0, material.contents.rubric
    for verdict in material.verdicts.rate:
        key = material.key_of(verdict.completion_id)
        bad = verdict.outcome is VerdictValue.INCORRECT or verdict.hallucinated is True or is_safe(verdict, sets, rubric) is False
        if bad:
            said.setdefault(key, {}).setdefault(False, []).append(verdict.sources)
        elif key not in said:
            neither += 1
    usable = {key: labels for key, labels in said.items() if not shows_nothing(key[1])}
    rows = [_row(key, labels, material) for key, labels in usable.items() if len(labels) == 1]
    return Labelled(rows=tuple(sorted(rows, key=lambda row: row.id)),
                    left_out={"neither wanted nor unwanted": neither, "an empty text": len(said) - len(usable),
                              "wanted by some reviewers and unwanted by others": len(usable) - len(rows)})


def _row(key: TextKey, labels: Mapping[bool, list[Sources]], material: Material) -> KtoExample:
    (wanted, sources), = labels.items()
    prompt, text = material.prompts[key[0]], material.spelling[key]
    made = content_hash("kto", [prompt.id, [message.model_dump() for message in prompt.messages], text, wanted])
    return KtoExample(id=ExampleId(made), prompt_id=prompt.id, family=prompt.family, topic=prompt.topic,
                      synthetic=prompt.synthetic, messages=prompt.messages, completion=text, label=wanted,
                      sources=united(sources))
