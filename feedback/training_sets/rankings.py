"""Ranked sets: all answers that were shown side by side in one row, for the trainer that reads each of them once."""

from __future__ import annotations

from feedback.curation.quality import shows_nothing
from feedback.ids import CompletionId, ExampleId, content_hash
from feedback.schemas import Outcome, PairVerdict, RankedSet, RankVerdict
from feedback.training_sets.material import Material


def ranked_sets(material: Material) -> tuple[RankedSet, ...]:
    """One row per ranked item with at least one decided pair, sorted by id. Ties and undecided pairs stay out."""
    made = [row for verdict in material.verdicts.rank if (row := _ranked_set(verdict, material))]
    return tuple(sorted(made, key=lambda row: row.id))


def _ranked_set(verdict: RankVerdict, material: Material) -> RankedSet | None:
    shown = [id for id in material.items[verdict.item_id].completion_ids if not shows_nothing(material.completions[id].text)]
    order = {id: index for index, id in enumerate(sorted(shown))}
    pairs = sorted(row for pair in verdict.pairs if (row := _preference(pair, order, verdict, material)))
    if not pairs:
        return None
    prompt = material.prompts[verdict.prompt_id]
    texts = tuple(material.completions[id].text for id in order)
    made = content_hash("ranking", [verdict.item_id, [message.model_dump() for message in prompt.messages], texts, pairs])
    return RankedSet(id=ExampleId(made), prompt_id=prompt.id, family=prompt.family, topic=prompt.topic, messages=prompt.messages,
                     completions=texts, pairs=tuple(pairs), sources=verdict.sources)


def _preference(pair: PairVerdict, order: dict[CompletionId, int], verdict: RankVerdict,
                material: Material) -> tuple[int, int, float] | None:
    if pair.first not in order or pair.second not in order:
        return None
    texts = {material.text_key(verdict.prompt_id, material.completions[id].text) for id in (pair.first, pair.second)}
    first, second = order[pair.first], order[pair.second]
    match pair.outcome:
        case Outcome.FIRST if len(texts) == 2:
            return first, second, pair.reversed_probability
        case Outcome.SECOND if len(texts) == 2:
            return second, first, pair.reversed_probability
        case _:
            return None
