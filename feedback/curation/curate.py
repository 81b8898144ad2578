"""Curation: a snapshot without what must not train. Kept and dropped rows add up to what was read.

A prompt that cannot be used takes its completions along, a completion its rate items, an item its ratings. A ranking
loses the unusable answers only, as long as two are left. An empty answer in whose place a reviewer wrote one stays, with
that. An answer that repeats another is dropped, and its ratings count for the other: no reviewer's work is lost to a
repetition. Ids name the snapshot's rows, also where a row was changed. What reviewers concluded is never changed; their
rewrites stand cleaned in a file of their own, and their marks follow the text.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from feedback.config import CurationConfig, Strict
from feedback.curation.aids import Aids
from feedback.curation.contamination import HeldOutTexts
from feedback.curation.duplicates import stand_ins
from feedback.curation.ledger import Changed, CurationCard, Dropped, Example, Flagged, Kind, Ledger
from feedback.curation.pointing import point_out
from feedback.curation.quality import flaw, shows_nothing
from feedback.curation.report import report_page
from feedback.curation.texts import Texts
from feedback.errors import LineageError, NothingToDo
from feedback.ids import CompletionId, PromptId, RatingId
from feedback.jsonl import write_rows
from feedback.lineage import Manifest, read_manifest, writing
from feedback.schemas import Completion, Deleted, GoldAnswer, Message, Prompt, Queue, RateAnswer, Rating, ReviewItem
from feedback.spans import carried
from feedback.store.snapshot import Contents, read_snapshot, write_contents

Row = TypeVar("Row")

REWRITES = "rewrites.jsonl"


class CuratedRewrite(Strict):
    """A reviewer's rewrite in the form in which it may train. The rating itself is never altered."""

    rating_id: RatingId
    text: str


@dataclass(frozen=True)
class Curated:
    """What is kept, and the account of the rest."""

    contents: Contents
    rewrites: tuple[CuratedRewrite, ...]
    dropped: tuple[Dropped, ...]
    changed: tuple[Changed, ...]
    flagged: tuple[Flagged, ...]
    examples: tuple[Example, ...]
    card: CurationCard


def plan(config: CurationConfig, *, snapshot: Path, aids: Aids = Aids()) -> Curated:  # noqa: B008 - frozen
    """What `run` would write, with nothing written. Raises NothingToDo without ratings."""
    sealed = read_snapshot(snapshot)
    if not sealed.ratings:
        raise NothingToDo(f"{snapshot}: no ratings in it; collect some with `redpen review sync` and seal again")
    return curate(sealed, config, aids)


def run(config: CurationConfig, *, snapshot: Path, out: Path, aids: Aids = Aids()) -> Manifest:  # noqa: B008 - frozen
    """Write the curated snapshot with rewrites.jsonl, dropped.jsonl, changed.jsonl, flagged.jsonl, card.json and report.html.

    Raises NothingToDo without ratings.
    """
    curated = plan(config, snapshot=snapshot, aids=aids)
    inputs = {"snapshot": read_snapshot(snapshot).hash} | aids.hashes
    with writing(out, stage="curate", inputs=inputs, config=config) as draft:
        write_contents(curated.contents, draft.folder)
        write_rows(draft.folder / REWRITES, curated.rewrites)
        write_rows(draft.folder / "dropped.jsonl", curated.dropped)
        write_rows(draft.folder / "changed.jsonl", curated.changed)
        write_rows(draft.folder / "flagged.jsonl", curated.flagged)
        page = report_page(curated.card, curated.dropped, curated.changed, curated.flagged, curated.examples)
        (draft.folder / "report.html").write_text(page, encoding="utf-8")
        (draft.folder / "card.json").write_text(curated.card.model_dump_json(indent=1) + "\n", encoding="utf-8")
        for name, count in curated.card.read.items():
            draft.counts |= {f"{name}_read": count, f"{name}_kept": curated.card.kept[name]}
    return read_manifest(out)


def curate(contents: Contents, config: CurationConfig, aids: Aids = Aids()) -> Curated:  # noqa: B008 - frozen
    """The rows that may train, each in the form in which it may. Raises LineageError when rows point to missing ones."""
    _refuse_dangling(contents)
    ledger = Ledger()
    texts = Texts(config, ledger, masker=aids.masker, terminology=aids.terminology)
    leaks = _Leaks(config, ledger, contents, aids)
    prompts = _kept(_prompt(prompt, texts, leaks) for prompt in contents.prompts)
    rewritten = _rewritten(contents)
    usable = _kept(_completion(completion, texts, leaks, rewritten) for completion in contents.completions)
    # Rankings first: an answer that repeats another stays only where a ranking that is kept names it.
    ranked = _kept(_rank_item(item, ledger) for item in contents.items if item.queue is Queue.RANK)
    completions, repeated = _without_repeats(usable, prompts, ranked, ledger)
    rated = _kept(_rate_item(item, repeated, ledger) for item in contents.items if item.queue is Queue.RATE)
    items = sorted([*ranked, *rated], key=lambda item: item.id)
    given = _kept(_rating(rating, ledger) for rating in contents.ratings)
    rewrites = _kept(_rewrite(rating, texts, leaks) for rating in sorted(given, key=lambda row: row.id))
    ratings = with_marks(given, contents, items, completions)
    ratings = [_masked(rating, texts) for rating in ratings]
    kept = Contents(prompts=tuple(prompts), completions=tuple(completions), items=tuple(items), ratings=tuple(ratings),
                    reviewers=contents.reviewers, rubric=contents.rubric, gold=_gold(contents, items),
                    quarantined=contents.quarantined)
    point_out(kept, {row.rating_id: row.text for row in rewrites}, config, ledger)
    card = ledger.card(read=_sizes(contents), kept=_sizes(kept), masked=dict(sorted(texts.masked.items())), said=aids.said)
    return Curated(contents=kept, rewrites=tuple(rewrites),
                   dropped=tuple(sorted(ledger.dropped.values(), key=lambda row: (row.kind, row.id))),
                   changed=tuple(sorted(ledger.changed, key=lambda row: (row.kind, row.id, row.step))),
                   flagged=tuple(sorted(ledger.flagged, key=lambda row: (row.kind, row.id, row.step, row.reason))),
                   examples=tuple(sorted(ledger.examples, key=lambda row: (row.step, row.kind, row.id))), card=card)


class _Leaks:
    """Looks for held-out texts in training rows. Rows of held-out families are left to the split, which leaves them all out."""

    def __init__(self, config: CurationConfig, ledger: Ledger, contents: Contents, aids: Aids) -> None:
        self._config, self._ledger = config, ledger
        self._held_out = {prompt.family for prompt in aids.held_out}
        self._family = {prompt.id: prompt.family for prompt in contents.prompts}
        self._asked = {item.id: item.prompt_id for item in contents.items}
        self._texts: HeldOutTexts | None = None
        if aids.held_out and config.contamination != "off":
            everything = [(prompt.family, prompt.text) for prompt in contents.prompts]
            everything += [(self._family[row.prompt_id], row.text) for row in contents.completions]
            self._texts = HeldOutTexts(aids.held_out_as_sealed, everything=everything, size=config.contamination_words)

    def asked(self, rating: Rating) -> PromptId:
        """What a rated answer was to."""
        return self._asked[rating.item_id]

    def found(self, kind: Kind, id: str, prompt_id: PromptId, text: str) -> str | None:
        """Why a row must leave: what it holds of a held-out text. Pointed out instead where the configuration says so."""
        if self._texts is None or self._family[prompt_id] in self._held_out:
            return None
        overlap = self._texts.overlap(text, share=self._config.contamination_share)
        if overlap and self._config.contamination == "flag":
            self._ledger.flag(kind, id, step="contamination", reason=str(overlap))
            return None
        return str(overlap) if overlap else None


def _gold(contents: Contents, items: Iterable[ReviewItem]) -> tuple[GoldAnswer, ...]:
    """What is known of the items that stay, under the completion that they show now."""
    shown = {item.id: item.completion_ids[0] for item in items}
    return tuple(row.model_copy(update={"completion_id": shown[row.item_id]}) for row in contents.gold if row.item_id in shown)


def _kept(rows: Iterable[Row | None]) -> list[Row]:
    return [row for row in rows if row is not None]


def _sizes(contents: Contents) -> dict[str, int]:
    lists: dict[str, Sequence[BaseModel]] = {"prompts": contents.prompts, "completions": contents.completions,
                                             "items": contents.items, "ratings": contents.ratings}
    return {name: len(rows) for name, rows in lists.items()}


def _refuse_dangling(contents: Contents) -> None:
    prompts, completions = {row.id for row in contents.prompts}, {row.id for row in contents.completions}
    items = {row.id for row in contents.items}
    problems = [f"completion {row.id}: its prompt {row.prompt_id} is unknown"
                for row in contents.completions if row.prompt_id not in prompts]
    problems += [f"item {row.id}: its prompt {row.prompt_id} is unknown"
                 for row in contents.items if row.prompt_id not in prompts]
    problems += [f"item {row.id}: its completion {completion} is unknown"
                 for row in contents.items for completion in row.completion_ids if completion not in completions]
    problems += [f"rating {row.id}: its item {row.item_id} is unknown" for row in contents.ratings if row.item_id not in items]
    if problems:
        raise LineageError("\n".join([*problems, "the snapshot is not whole; seal it again"]))


def _prompt(prompt: Prompt, texts: Texts, leaks: _Leaks) -> Prompt | None:
    whole = "\n".join(message.content for message in prompt.messages)
    # A system message alone asks nothing, so emptiness is judged by the question.
    found = flaw(prompt.text, longest=texts.config.max_prompt_characters) or texts.flaw("prompt", prompt.id, whole)
    if found:
        texts.ledger.drop("prompt", prompt.id, step=found.step, reason=found.reason)
        return None
    if leak := leaks.found("prompt", prompt.id, prompt.id, prompt.text):
        texts.ledger.drop("prompt", prompt.id, step="contamination", reason=leak)
        return None
    messages = tuple(Message(role=message.role, content=texts.clean("prompt", prompt.id, message.content))
                     for message in prompt.messages)
    reference = prompt.reference and texts.clean("prompt", prompt.id, prompt.reference)
    same = messages == prompt.messages and reference == prompt.reference
    return prompt if same else prompt.model_copy(update={"messages": messages, "reference": reference})


def _rewritten(contents: Contents) -> frozenset[CompletionId]:
    """The rated answers in whose place a reviewer wrote something."""
    shown = {item.id: item.completion_ids[0] for item in contents.items if item.queue is Queue.RATE}
    return frozenset(shown[rating.item_id] for rating in contents.ratings
                     if isinstance(rating.answer, RateAnswer) and not shows_nothing(rating.answer.rewrite or ""))


def _completion(row: Completion, texts: Texts, leaks: _Leaks, rewritten: Container[CompletionId]) -> Completion | None:
    ledger = texts.ledger
    if cause := ledger.dropped.get(row.prompt_id):
        ledger.drop_with("completion", row.id, cause)
        return None
    if shows_nothing(row.text) and row.id in rewritten:
        # It trains nothing, and its ratings would go with it.
        ledger.flag("completion", row.id, step="empty", reason="nothing in it can be seen; kept for its rewrite")
        return row
    if found := texts.flaw("completion", row.id, row.text):
        ledger.drop("completion", row.id, step=found.step, reason=found.reason)
        return None
    if leak := leaks.found("completion", row.id, row.prompt_id, row.text):
        ledger.drop("completion", row.id, step="contamination", reason=leak)
        return None
    text = texts.clean("completion", row.id, row.text)
    return row if text == row.text else row.model_copy(update={"text": text})


def _without_repeats(completions: Sequence[Completion], prompts: Sequence[Prompt], ranked: Sequence[ReviewItem],
                     ledger: Ledger) -> tuple[list[Completion], dict[CompletionId, Completion]]:
    """The completions that stay, and for every repeated one its stand-in."""
    repeated = stand_ins(completions, {prompt.id: prompt for prompt in prompts})
    named = {completion for item in ranked for completion in item.completion_ids}
    for id, first in repeated.items():
        if id not in named:
            ledger.drop("completion", id, step="duplicate", reason=f"the same text as {first.id}, which stands for both")
    return [row for row in completions if row.id not in ledger.dropped], repeated


def _rate_item(item: ReviewItem, repeated: dict[CompletionId, Completion], ledger: Ledger) -> ReviewItem | None:
    shown = item.completion_ids[0]
    if cause := ledger.dropped.get(item.prompt_id):
        ledger.drop_with("item", item.id, cause)
        return None
    if first := repeated.get(shown):
        ledger.change("item", item.id, step="duplicate", detail=f"{shown} -> {first.id}, which has the same text")
        return item.model_copy(update={"prompt_id": first.prompt_id, "completion_ids": (first.id,)})
    if cause := ledger.dropped.get(shown):
        ledger.drop_with("item", item.id, cause)
        return None
    return item


def _rank_item(item: ReviewItem, ledger: Ledger) -> ReviewItem | None:
    if cause := ledger.dropped.get(item.prompt_id):
        ledger.drop_with("item", item.id, cause)
        return None
    left = tuple(completion for completion in item.completion_ids if completion not in ledger.dropped)
    if len(left) == len(item.completion_ids):
        return item
    cause = next(ledger.dropped[completion] for completion in item.completion_ids if completion in ledger.dropped)
    if len(left) < 2:
        ledger.drop_with("item", item.id, cause)
        return None
    ledger.change("item", item.id, step=cause.step, detail=f"{len(left)} of {len(item.completion_ids)} answers left")
    return item.model_copy(update={"completion_ids": left})


def _rating(rating: Rating, ledger: Ledger) -> Rating | None:
    if cause := ledger.dropped.get(rating.item_id):
        ledger.drop_with("rating", rating.id, cause)
        return None
    return rating


def with_marks(ratings: Iterable[Rating], contents: Contents, items: Iterable[ReviewItem],
               completions: Iterable[Completion]) -> list[Rating]:
    """The ratings, each mark where its characters stand now. Their items must be among `items`."""
    before = {row.id: row.text for row in contents.completions}
    after = {row.id: row.text for row in completions}
    shown = {item.id: item.completion_ids[0] for item in items}
    was = {item.id: item.completion_ids[0] for item in contents.items}

    def moved(rating: Rating) -> Rating:
        if not isinstance(rating.answer, RateAnswer) or not rating.answer.spans:
            return rating
        spans = carried(rating.answer.spans, before[was[rating.item_id]], after[shown[rating.item_id]])
        return rating if spans == rating.answer.spans else rating.model_copy(
            update={"answer": rating.answer.model_copy(update={"spans": spans})})

    return [moved(rating) for rating in ratings]


def _masked(rating: Rating, texts: Texts) -> Rating:
    """A rating without the personal data that its author wrote into it; `_rewrite` tells what was in its rewrite."""
    if isinstance(rating.answer, Deleted):
        return rating
    rewrite, comment = rating.answer.rewrite, rating.answer.comment
    changed = {"rewrite": texts.masker(rewrite).text if texts.masker and rewrite is not None else rewrite,
               "comment": texts.only_masked("rating", rating.id, comment)}
    same = (changed["rewrite"], changed["comment"]) == (rewrite, comment)
    return rating if same else rating.model_copy(update={"answer": rating.answer.model_copy(update=changed)})


def _rewrite(rating: Rating, texts: Texts, leaks: _Leaks) -> CuratedRewrite | None:
    text = None if isinstance(rating.answer, Deleted) else rating.answer.rewrite
    if text is None or shows_nothing(text):
        return None
    reason: str | None = None
    step = "contamination"
    if found := texts.flaw("rating", rating.id, text):
        step, reason = found.step, found.reason
    else:
        reason = leaks.found("rating", rating.id, leaks.asked(rating), text)
    if reason:
        texts.ledger.change("rating", rating.id, step=step, detail=f"its rewrite was left out: {reason}")
        return None
    return CuratedRewrite(rating_id=rating.id, text=texts.clean("rating", rating.id, text))
