"""The better answers that reviewers wrote, in the form that curation gave them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from feedback.aggregation.conclusions import Sources, Verdict
from feedback.aggregation.verdicts import sources
from feedback.curation.duplicates import normalised
from feedback.ids import CompletionId
from feedback.schemas import Deleted, RankAnswer, RateAnswer, Rating, ReviewItem, VerdictValue
from feedback.training_sets.material import Material, TextKey


@dataclass(frozen=True)
class Rewrite:
    """One rewrite that may train."""

    text: str
    item: ReviewItem
    originals: tuple[CompletionId, ...]
    """What it improves: the rated answer, or those that its author ranked best."""
    sources: Sources


@dataclass(frozen=True)
class Rewrites:
    """Those that may train, and the account of the others."""

    usable: tuple[Rewrite, ...]
    refused: Mapping[str, int]
    """Reason -> rewrites."""


def read_rewrites(material: Material) -> Rewrites:
    """Every rewrite in the ratings, sorted by rating.

    A form that starts from the answer comes back unchanged when its reviewer had nothing to mend: that is no rewrite.
    """
    judged = {material.key_of(verdict.completion_id): said for verdict in material.verdicts.rate if (said := _fault(verdict))}
    usable: list[Rewrite] = []
    refused: Counter[str] = Counter()
    for rating in sorted(material.contents.ratings, key=lambda row: row.id):
        text = material.rewrites.get(rating.id)
        if text is None or isinstance(rating.answer, Deleted):
            continue
        made = _rewrite(rating, rating.answer, text, material)
        if reason := _refusal(made, rating.answer, material, judged):
            refused[reason] += 1
        else:
            usable.append(made)
    return Rewrites(usable=tuple(usable), refused=dict(sorted(refused.items())))


def _rewrite(rating: Rating, answer: RateAnswer | RankAnswer, text: str, material: Material) -> Rewrite:
    item = material.items[rating.item_id]
    best = answer.tiers[0] if isinstance(answer, RankAnswer) else item.completion_ids
    originals = tuple(sorted(completion for completion in best if completion in item.completion_ids))
    return Rewrite(text=text, item=item, originals=originals, sources=sources([rating], originals))


def _refusal(made: Rewrite, answer: RateAnswer | RankAnswer, material: Material, judged: Mapping[TextKey, str]) -> str | None:
    shown = {normalised(material.completions[completion].text) for completion in made.item.completion_ids}
    if normalised(made.text) in shown:
        return "unchanged: the same text as an answer shown"
    if isinstance(answer, RateAnswer) and answer.verdict is VerdictValue.CANNOT_TELL:
        return "its author could not tell whether the answer is correct"
    if said := judged.get(material.text_key(made.item.prompt_id, made.text)):
        return f"the same text was judged {said}"
    return None


def _fault(verdict: Verdict) -> str | None:
    """What is wrong with an answer; None with nothing, and where that was not decided."""
    if verdict.outcome in (VerdictValue.INCORRECT, VerdictValue.PARTIALLY_CORRECT):
        return verdict.outcome.value
    return "to state something false" if verdict.hallucinated else None
