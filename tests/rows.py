"""Training rows and folders of them, for the stages that train."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from feedback.ids import CompletionId, ExampleId, FamilyId, ItemId, PromptId, RatingId, ReviewerId, content_hash
from feedback.jsonl import write_rows
from feedback.lineage import writing
from feedback.schemas import Message, PreferencePair, SftExample, Sources

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


def training_sets(out: Path, *, examples: Sequence[SftExample] = (), pairs: Sequence[PreferencePair] = ()) -> Path:
    """A finished folder of training sets."""
    with writing(out, stage="training_sets", inputs={}, config={}) as draft:
        write_rows(draft.folder / "sft.jsonl", examples)
        write_rows(draft.folder / "pairs.jsonl", pairs)
    return out
