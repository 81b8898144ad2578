"""What training rows are made from: the ratings that may train, with their verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

from feedback.aggregation.conclusions import Sources
from feedback.aggregation.verdicts import Verdicts, aggregate
from feedback.curation.duplicates import conversation, normalised
from feedback.ids import CompletionId, FamilyId, ItemId, PromptId, RatingId
from feedback.schemas import Completion, Prompt, Purpose, Rating, ReviewItem
from feedback.store.snapshot import Contents

TextKey: TypeAlias = tuple[PromptId, str]
"""A question and an answer to it, each in the one spelling that stands for all that a model could hardly tell apart."""


@dataclass(frozen=True)
class Material:
    """One curated snapshot, narrowed to what may train."""

    contents: Contents
    prompts: Mapping[PromptId, Prompt]
    completions: Mapping[CompletionId, Completion]
    items: Mapping[ItemId, ReviewItem]
    ratings: Mapping[RatingId, Rating]
    rewrites: Mapping[RatingId, str]
    """The rewrites that curation kept, in the form in which they may train."""
    verdicts: Verdicts
    left_out: Mapping[str, int]
    """Reason -> ratings that must not train."""

    @cached_property
    def asked(self) -> Mapping[PromptId, PromptId]:
        """For each prompt the one, of those that ask the same, whose id comes first."""
        firsts: dict[object, PromptId] = {}
        return {id: firsts.setdefault(conversation(self.prompts[id].messages), id) for id in sorted(self.prompts)}

    @cached_property
    def spelling(self) -> Mapping[TextKey, str]:
        """How an answer is written in training rows: as the model did, and where no model did, as a reviewer."""
        texts: dict[TextKey, str] = {}
        for id, completion in sorted(self.completions.items()):
            texts.setdefault(self.key_of(id), completion.text)
        for rating, text in sorted(self.rewrites.items()):
            if rating in self.ratings:
                texts.setdefault(self.text_key(self.items[self.ratings[rating].item_id].prompt_id, text), text)
        return texts

    def text_key(self, prompt_id: PromptId, text: str) -> TextKey:
        """The same for answers that a model could hardly tell apart."""
        return self.asked[prompt_id], normalised(text)

    def key_of(self, completion_id: CompletionId) -> TextKey:
        """The text key of a completion."""
        return self._keys[completion_id]

    @cached_property
    def _keys(self) -> Mapping[CompletionId, TextKey]:
        return {id: self.text_key(row.prompt_id, row.text) for id, row in self.completions.items()}


def gather(contents: Contents, rewrites: Mapping[RatingId, str], held_out: frozenset[FamilyId]) -> Material:
    """The ratings of training items whose family is not held out, and the verdicts from those alone.

    Gold items are asked how far each reviewer can be believed, and for nothing else.
    """
    prompts = {prompt.id: prompt for prompt in contents.prompts}
    refused = {item.id: reason for item in contents.items if (reason := _refusal(item, prompts[item.prompt_id], held_out))}
    reasons = _reasons(contents, refused)
    kept = replace(_plain(contents), items=tuple(item for item in contents.items if item.id not in refused),
                   ratings=tuple(rating for rating in contents.ratings if rating.id not in reasons))
    gold = {item.id: item for item in contents.items if item.purpose is Purpose.GOLD}
    weighed = replace(kept, items=(*kept.items, *gold.values()),
                      ratings=(*kept.ratings, *(rating for rating in contents.ratings if rating.item_id in gold)))
    return Material(contents=kept, prompts=prompts, completions={row.id: row for row in contents.completions},
                    items={item.id: item for item in kept.items}, ratings={rating.id: rating for rating in kept.ratings},
                    rewrites=rewrites, verdicts=aggregate(weighed),
                    left_out=dict(sorted(Counter(reasons.values()).items())))


def _reasons(contents: Contents, refused: Mapping[ItemId, str]) -> dict[RatingId, str]:
    """Why ratings do not count: the reviewer, the item, or that somebody else settled what its item left open."""
    out = {row.reviewer_id: f"its reviewer is in quarantine: {row.reason}" for row in contents.quarantined}
    counting = {row.item_id for row in contents.ratings if row.reviewer_id not in out}
    settled = {item.settles: "its item was settled by an adjudication" for item in contents.items
               if item.settles and item.id in counting}
    return {row.id: reason for row in contents.ratings
            if (reason := out.get(row.reviewer_id) or refused.get(row.item_id) or settled.get(row.item_id))}


def _plain(contents: Contents) -> Contents:
    """Without the folder that a Snapshot knows it was read from: narrowed, it is no longer that folder's."""
    return Contents(prompts=contents.prompts, completions=contents.completions, items=contents.items, ratings=contents.ratings,
                    reviewers=contents.reviewers, rubric=contents.rubric, gold=contents.gold, quarantined=contents.quarantined)


def _refusal(item: ReviewItem, prompt: Prompt, held_out: frozenset[FamilyId]) -> str | None:
    if item.purpose is not Purpose.TRAIN:
        return f"{item.purpose} item"
    if prompt.critical:
        return "critical question"
    return "held-out family" if prompt.family in held_out else None


def united(sources: Iterable[Sources]) -> Sources:
    """All the people and answers that several conclusions rest on together, each once, sorted."""
    every = list(sources)
    return Sources(items=tuple(sorted({id for each in every for id in each.items})),
                   completions=tuple(sorted({id for each in every for id in each.completions})),
                   reviewers=tuple(sorted({id for each in every for id in each.reviewers})),
                   ratings=tuple(sorted({id for each in every for id in each.ratings})))
