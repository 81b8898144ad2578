"""Ranked sets: all answers to a question in one row, for the trainer that reads each of them once.

The pairs are those of pairs.jsonl, one for one. What separates a tie from two answers that were never compared, and what is known
of an answer by itself, stands beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from feedback.aggregation.conclusions import Verdict
from feedback.ids import ExampleId, PromptId, content_hash
from feedback.schemas import RateAnswer, Span
from feedback.training_sets.material import Material, TextKey, united
from feedback.training_sets.preferences import Tie
from feedback.training_sets.rows import PreferencePair, RankedPair, RankedSet


def ranked_sets(pairs: Iterable[PreferencePair], ties: Iterable[Tie], material: Material) -> tuple[RankedSet, ...]:
    """One row for each prompt that has a pair, sorted by id."""
    paired: dict[PromptId, list[PreferencePair]] = {}
    tied: dict[PromptId, list[Tie]] = {}
    for pair in pairs:
        paired.setdefault(pair.prompt_id, []).append(pair)
    for tie in ties:
        tied.setdefault(tie.prompt_id, []).append(tie)
    known = _known(material)
    return tuple(sorted((_ranked_set(group, tied.get(prompt_id, []), known, material) for prompt_id, group in paired.items()),
                        key=lambda row: row.id))


def _ranked_set(pairs: Sequence[PreferencePair], ties: Sequence[Tie], known: dict[TextKey, list[Verdict]],
                material: Material) -> RankedSet:
    texts = _texts(pairs, ties)
    place = {text: index for index, text in enumerate(texts)}
    rows = sorted((RankedPair(better=place[pair.chosen], worse=place[pair.rejected], weight=pair.weight, margin=pair.margin,
                              reversed_probability=pair.reversed_probability, origin=pair.origin, criterion=pair.criterion)
                   for pair in pairs), key=lambda row: (row.better, row.worse))
    equal = sorted({(min(first, second), max(first, second)) for tie in ties
                    for first, second in [tuple(place[text] for text in tie.texts)]})
    verdicts = [known.get(material.text_key(pairs[0].prompt_id, text), []) for text in texts]
    hallucinated, spans = tuple(map(_hallucinated, verdicts)), _spans(texts, verdicts, material)
    head = pairs[0]
    content = [head.prompt_id, [message.model_dump() for message in head.messages], texts,
               [row.model_dump(exclude_none=True) for row in rows], equal, hallucinated,
               [[span.model_dump() for span in each] for each in spans]]
    return RankedSet(id=ExampleId(content_hash("ranking", content)), prompt_id=head.prompt_id, family=head.family,
                     topic=head.topic, synthetic=head.synthetic, messages=head.messages, completions=tuple(texts),
                     pairs=tuple(rows), ties=tuple(equal),
                     hallucinated=hallucinated if any(each is not None for each in hallucinated) else (),
                     spans=spans if any(spans) else (),
                     sources=united([*(pair.sources for pair in pairs), *(tie.sources for tie in ties),
                                     *(verdict.sources for each in verdicts for verdict in each)]))


def _texts(pairs: Sequence[PreferencePair], ties: Sequence[Tie]) -> list[str]:
    compared = [(pair.chosen, pair.rejected) for pair in pairs] + [tie.texts for tie in ties]
    return sorted({text for two in compared for text in two})


def _known(material: Material) -> dict[TextKey, list[Verdict]]:
    """The verdicts on each text; several where it was sampled more than once."""
    known: dict[TextKey, list[Verdict]] = {}
    for verdict in material.verdicts.rate:
        known.setdefault(material.key_of(verdict.completion_id), []).append(verdict)
    return known


def _hallucinated(verdicts: Sequence[Verdict]) -> bool | None:
    """What the verdicts on one text say; None without one, or where any is split or two contradict each other."""
    said = {verdict.hallucinated for verdict in verdicts}
    return said.pop() if len(said) == 1 else None


def _spans(texts: Sequence[str], verdicts: Sequence[Sequence[Verdict]], material: Material) -> tuple[tuple[Span, ...], ...]:
    """What was marked in each text, where the verdict on it is that it states something false."""
    return tuple(tuple(sorted({span for verdict in each if verdict.hallucinated is True
                               for span in _marked(verdict, text, material)}, key=lambda s: (s.start, s.end, s.label)))
                 for text, each in zip(texts, verdicts, strict=True))


def _marked(verdict: Verdict, text: str, material: Material) -> list[Span]:
    # Spans count characters: in another spelling of the same answer they would mark something else.
    if material.completions[verdict.completion_id].text != text:
        return []
    answers = [answer for id in verdict.sources.ratings if isinstance(answer := material.ratings[id].answer, RateAnswer)]
    return [span for answer in answers for span in answer.spans if span.end <= len(text)]
