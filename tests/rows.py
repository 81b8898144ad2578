"""Training rows and folders of them, for the stages that train."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from feedback.aggregation.conclusions import Sources
from feedback.ids import CompletionId, ExampleId, FamilyId, ItemId, PromptId, RatingId, ReviewerId, content_hash
from feedback.jsonl import write_rows
from feedback.lineage import writing
from feedback.schemas import Message
from feedback.training_sets.rows import PreferencePair, RankedPair, RankedSet, SftExample

SOURCES = Sources(items=(ItemId("item-0"),), completions=(CompletionId("completion-0"),), reviewers=(ReviewerId("sim-ada"),),
                  ratings=(RatingId("rating-0"),))


def example(question: str, completion: str) -> SftExample:
    """One accepted answer."""
    return SftExample(id=ExampleId(content_hash("example", [question, completion])), prompt_id=PromptId(f"prompt-{question}"),
                      family=FamilyId(question), messages=(Message(role="user", content=question),), completion=completion,
                      origin="accepted", sources=SOURCES)


def pair(question: str, chosen: str, rejected: str, *, margin: float = 1.0) -> PreferencePair:
    """One preference."""
    made = ExampleId(content_hash("pair", [question, chosen, rejected]))
    return PreferencePair(id=made, prompt_id=PromptId(f"prompt-{question}"), family=FamilyId(question),
                          messages=(Message(role="user", content=question),), chosen=chosen, rejected=rejected, margin=margin,
                          origin="ranking", sources=SOURCES)


def rankings_of(pairs: Sequence[PreferencePair]) -> list[RankedSet]:
    """The same pairs, one ranking for each question."""
    groups: dict[PromptId, list[PreferencePair]] = {}
    for row in pairs:
        groups.setdefault(row.prompt_id, []).append(row)
    return [_ranking(group) for group in groups.values()]


def _ranking(pairs: Sequence[PreferencePair]) -> RankedSet:
    texts = list(dict.fromkeys(text for row in pairs for text in (row.chosen, row.rejected)))
    judged = tuple(RankedPair(better=texts.index(row.chosen), worse=texts.index(row.rejected), weight=row.weight,
                              origin=row.origin, margin=row.margin, reversed_probability=row.reversed_probability)
                   for row in pairs)
    return RankedSet(id=ExampleId(content_hash("ranking", [row.id for row in pairs])), prompt_id=pairs[0].prompt_id,
                     family=pairs[0].family, messages=pairs[0].messages, completions=tuple(texts), pairs=judged, sources=SOURCES)


def training_sets(out: Path, *, examples: Sequence[SftExample] = (), pairs: Sequence[PreferencePair] = (),
                  rankings: Sequence[RankedSet] | None = None) -> Path:
    """A finished folder of training sets; without `rankings`, they hold the pairs."""
    with writing(out, stage="training_sets", inputs={}, config={}) as draft:
        write_rows(draft.folder / "sft.jsonl", examples)
        write_rows(draft.folder / "pairs.jsonl", pairs)
        write_rows(draft.folder / "rankings.jsonl", rankings_of(pairs) if rankings is None else rankings)
    return out
