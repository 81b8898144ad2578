"""Curation: a snapshot without what must not train. Kept and dropped rows add up to what was read.

A prompt that cannot be used takes its completions along, a completion its rate items, an item its ratings. A ranking
loses the unusable answers only, as long as two are left. An answer that repeats another is dropped, and its ratings
count for the other: no reviewer's work is lost to a repetition. Ids name the snapshot's rows, also where a row was changed;
ratings are never changed, so their rewrites stand cleaned in a file of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from feedback.config import CurationConfig, Strict
from feedback.curation.control_tokens import neutralise
from feedback.curation.duplicates import stand_ins
from feedback.curation.ledger import Changed, CurationCard, Dropped, Kind, Ledger
from feedback.curation.quality import flaw, shows_nothing
from feedback.errors import LineageError, NothingToDo
from feedback.ids import CompletionId, RatingId
from feedback.jsonl import write_rows
from feedback.lineage import Manifest, read_manifest, writing
from feedback.schemas import Completion, Deleted, GoldAnswer, Message, Prompt, Queue, Rating, ReviewItem
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
    card: CurationCard


def run(config: CurationConfig, *, snapshot: Path, out: Path) -> Manifest:
    """Write the curated snapshot with rewrites.jsonl, dropped.jsonl, changed.jsonl and card.json.

    Raises NothingToDo without ratings.
    """
    sealed = read_snapshot(snapshot)
    if not sealed.ratings:
        raise NothingToDo(f"{snapshot}: no ratings in it; collect some with `redpen review sync` and seal again")
    with writing(out, stage="curate", inputs={"snapshot": sealed.hash}, config=config) as draft:
        curated = curate(sealed, config)
        write_contents(curated.contents, draft.folder)
        write_rows(draft.folder / REWRITES, curated.rewrites)
        write_rows(draft.folder / "dropped.jsonl", curated.dropped)
        write_rows(draft.folder / "changed.jsonl", curated.changed)
        (draft.folder / "card.json").write_text(curated.card.model_dump_json(indent=1) + "\n", encoding="utf-8")
        for name, count in curated.card.read.items():
            draft.counts |= {f"{name}_read": count, f"{name}_kept": curated.card.kept[name]}
    return read_manifest(out)


def curate(contents: Contents, config: CurationConfig) -> Curated:
    """The rows that may train, each in the form in which it may. Raises LineageError when rows point to missing ones."""
    _refuse_dangling(contents)
    ledger = Ledger()
    prompts = _kept(_prompt(prompt, config, ledger) for prompt in contents.prompts)
    usable = _kept(_completion(completion, config, ledger) for completion in contents.completions)
    # Rankings first: an answer that repeats another stays only where a ranking that is kept names it.
    ranked = _kept(_rank_item(item, ledger) for item in contents.items if item.queue is Queue.RANK)
    completions, repeated = _without_repeats(usable, prompts, ranked, ledger)
    rated = _kept(_rate_item(item, repeated, ledger) for item in contents.items if item.queue is Queue.RATE)
    items = sorted([*ranked, *rated], key=lambda item: item.id)
    ratings = _kept(_rating(rating, ledger) for rating in contents.ratings)
    rewrites = _kept(_rewrite(rating, config, ledger) for rating in sorted(ratings, key=lambda row: row.id))
    kept = Contents(prompts=tuple(prompts), completions=tuple(completions), items=tuple(items), ratings=tuple(ratings),
                    reviewers=contents.reviewers, rubric=contents.rubric, gold=_gold(contents, items),
                    quarantined=contents.quarantined)
    return Curated(contents=kept, rewrites=tuple(rewrites),
                   dropped=tuple(sorted(ledger.dropped.values(), key=lambda row: (row.kind, row.id))),
                   changed=tuple(sorted(ledger.changed, key=lambda row: (row.kind, row.id, row.step))),
                   card=ledger.card(read=_sizes(contents), kept=_sizes(kept)))


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


def _prompt(prompt: Prompt, config: CurationConfig, ledger: Ledger) -> Prompt | None:
    longest = config.max_prompt_characters
    whole = "\n".join(message.content for message in prompt.messages)
    # A system message alone asks nothing, so emptiness is judged by the question.
    found = flaw(prompt.text, longest=longest) or flaw(whole, longest=longest)
    if found:
        ledger.drop("prompt", prompt.id, step=found.step, reason=found.reason)
        return None
    messages = tuple(Message(role=message.role, content=_clean("prompt", prompt.id, message.content, ledger))
                     for message in prompt.messages)
    return prompt if messages == prompt.messages else prompt.model_copy(update={"messages": messages})


def _completion(row: Completion, config: CurationConfig, ledger: Ledger) -> Completion | None:
    if cause := ledger.dropped.get(row.prompt_id):
        ledger.drop_with("completion", row.id, cause)
        return None
    if found := flaw(row.text, longest=config.max_completion_characters):
        ledger.drop("completion", row.id, step=found.step, reason=found.reason)
        return None
    text = _clean("completion", row.id, row.text, ledger)
    return row if text == row.text else row.model_copy(update={"text": text})


def _clean(kind: Kind, id: str, text: str, ledger: Ledger) -> str:
    """`text` with its control tokens defused, and an entry when there were any."""
    cleaned = neutralise(text)
    if cleaned.tokens:
        ledger.change(kind, id, step="control tokens", detail=" ".join(cleaned.tokens))
    return cleaned.text


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


def _rewrite(rating: Rating, config: CurationConfig, ledger: Ledger) -> CuratedRewrite | None:
    text = None if isinstance(rating.answer, Deleted) else rating.answer.rewrite
    if text is None or shows_nothing(text):
        return None
    if found := flaw(text, longest=config.max_completion_characters):
        ledger.change("rating", rating.id, step=found.step, detail=f"its rewrite was left out: {found.reason}")
        return None
    return CuratedRewrite(rating_id=rating.id, text=_clean("rating", rating.id, text, ledger))
