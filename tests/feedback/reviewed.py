"""Small reviewed snapshots, written as a test reads: `Bench().rated("p", "text", by=["correct", "incorrect"])`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from feedback.ids import CompletionId, RatingId, ReviewerId
from feedback.lineage import writing
from feedback.rubric import Rubric
from feedback.schemas import (
    Completion,
    Flag,
    GoldAnswer,
    Message,
    Prompt,
    Purpose,
    RankAnswer,
    RateAnswer,
    Rating,
    Reviewer,
    ReviewItem,
    VerdictValue,
)
from feedback.store.snapshot import Contents, write_contents
from feedback.store.store import Store
from tests.people import a_completion, a_rank_item, a_rate_item, a_rating, a_reviewer, a_rubric

RUBRIC = a_rubric("accuracy", "tone", "safety")
GOOD = {"accuracy": 5, "tone": 5, "safety": 5}


def rate(verdict: str = "correct", *, criteria: dict[str, int] | None = None, flags: Sequence[Flag] = (),
         rewrite: str | None = None) -> RateAnswer:
    """A submitted rate form, all criteria at their best unless told."""
    return RateAnswer(criteria=GOOD | (criteria or {}), verdict=VerdictValue(verdict), flags=tuple(flags), rewrite=rewrite)


def a_person(name: str) -> Reviewer:
    """A reviewer whose id is the name, so that a test can tell at once who stands in a row."""
    return a_reviewer(name).model_copy(update={"id": ReviewerId(name)})


class Bench:
    """Collects prompts, completions, items and ratings, and hands out the snapshot they make."""

    def __init__(self, rubric: Rubric = RUBRIC) -> None:
        self.rubric = rubric
        self.prompts: dict[str, Prompt] = {}
        self.completions: dict[CompletionId, Completion] = {}
        self.items: list[ReviewItem] = []
        self.ratings: list[Rating] = []
        self.gold: list[GoldAnswer] = []

    def prompt(self, text: str, *, family: str | None = None, topic: str | None = None, answerable: bool = True,
               critical: bool = False) -> Prompt:
        """A question; asked for twice it is the same one."""
        made = Prompt.of([Message(role="user", content=text)], family=family, topic=topic, answerable=answerable,
                         critical=critical, reference="known" if critical else None)
        return self.prompts.setdefault(text, made)

    def completion(self, question: str, text: str) -> Completion:
        """One more answer to a question."""
        prompt = self.prompt(question)
        index = sum(row.prompt_id == prompt.id for row in self.completions.values())
        made = a_completion(prompt, index, text=text)
        self.completions[made.id] = made
        return made

    def rated(self, question: str, text: str, *, by: Sequence[RateAnswer | str], purpose: Purpose = Purpose.TRAIN) -> Completion:
        """An answer that several reviewers rated, each by a form or by a verdict's name."""
        shown = self.completion(question, text)
        item = self._item(a_rate_item(shown, purpose=purpose))
        for number, answer in enumerate(by):
            self._rating(item, number, rate(answer) if isinstance(answer, str) else answer)
        return shown

    def ranked(self, question: str, texts: Sequence[str], *, by: Sequence[Sequence[Sequence[int]]],
               purpose: Purpose = Purpose.TRAIN, rewrite: str | None = None) -> list[Completion]:
        """Answers that several reviewers ranked: each gives tiers of indices into `texts`, best first."""
        shown = [self.completion(question, text) for text in texts]
        item = self._item(a_rank_item(shown, purpose=purpose))
        for number, tiers in enumerate(by):
            named = tuple(tuple(shown[index].id for index in tier) for tier in tiers)
            self._rating(item, number, RankAnswer(tiers=named, rewrite=rewrite))
        return shown

    def known(self, shown: Completion, verdict: str) -> None:
        """The right answer to the gold item that shows this completion."""
        item, = (item for item in self.items if item.completion_ids == (shown.id,))
        self.gold.append(GoldAnswer(item_id=item.id, completion_id=shown.id, verdict=VerdictValue(verdict), hallucinated=None,
                                    criteria={}))

    def settled(self, shown: Completion, answer: RateAnswer | str, *, by: int = 9) -> None:
        """An adjudicator's word on an answer that was rated: another item, which settles the first."""
        first = next(item for item in self.items if item.completion_ids == (shown.id,))
        item = self._item(a_rate_item(shown, settles=first.id))
        self._rating(item, by, rate(answer) if isinstance(answer, str) else answer)

    def _item(self, item: ReviewItem) -> ReviewItem:
        self.items.append(item)
        return item

    def _rating(self, item: ReviewItem, number: int, answer: RateAnswer | RankAnswer) -> None:
        self.ratings.append(a_rating(item.id, a_person(f"sim-{number}"), answer, minutes=len(self.ratings), rubric=self.rubric))

    @property
    def contents(self) -> Contents:
        """Everything so far, as a snapshot's contents."""
        reviewers = sorted({rating.reviewer_id for rating in self.ratings})
        return Contents(prompts=tuple(sorted(self.prompts.values(), key=lambda row: row.id)),
                        completions=tuple(sorted(self.completions.values(), key=lambda row: row.id)),
                        items=tuple(sorted(self.items, key=lambda row: row.id)),
                        ratings=tuple(sorted(self.ratings, key=lambda row: row.id)),
                        reviewers=tuple(a_person(name) for name in reviewers), rubric=self.rubric,
                        gold=tuple(self.gold))

    @property
    def rewrites(self) -> dict[RatingId, str]:
        """Every rewrite as it was written, as if curation had found nothing to change."""
        return {rating.id: rating.answer.rewrite for rating in self.ratings if rating.answer.rewrite}  # type: ignore[union-attr]

    def into(self, store: Store) -> None:
        """Put everything so far into a store, as a push and a pull would."""
        made = self.contents
        store.add_prompts(made.prompts)
        store.add_completions(made.completions)
        store.add_items(made.items)
        store.add_reviewers(made.reviewers)
        store.append_ratings(made.ratings)

    def sealed(self, folder: Path) -> Path:
        """The contents as a finished snapshot folder."""
        with writing(folder, stage="seal", inputs={}, config={}) as draft:
            write_contents(self.contents, draft.folder)
        return folder
