"""A whole tiny project, and reviewers who answer straight into its store: the round without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import yaml

from alignment.project import Project
from feedback.ids import unit_interval
from feedback.jsonl import write_rows
from feedback.prompts import PromptLine
from feedback.schemas import Completion, Flag, Queue, RankAnswer, RateAnswer, Rating, Reviewer, ReviewItem, VerdictValue
from feedback.store.store import Store
from tests.people import a_reviewer, a_rubric

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
PANEL = tuple(a_reviewer(f"sim-{number}") for number in range(3))


def tiny_project(folder: Path, base: Path, **changes: object) -> Project:
    """A project on a tiny base: 40 families of which some are held out, and 4 critical questions."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "kind": "project",
        "model": {"base": str(base), "device": "cpu", "max_length": 128, "threads": 1},
        "lora": {"r": 4, "alpha": 8},
        "queues": {"rate_items": 6, "rank_items": 4, "rank_size": 3},
        "split": {"held_out_share": 0.3},
        "sampling": {"completions": 4, "max_new_tokens": 8},
        "audit": {"families": 8},
        "sft": {"trainer": {"max_steps": 3}},
        "dpo": {"trainer": {"max_steps": 2}},
        "reward": {"min_pairs": 2, "trainer": {"max_steps": 3, "learning_rate": 1e-2}},
    }
    (folder / "redpen.yaml").write_text(yaml.safe_dump(config | changes, sort_keys=False))
    (folder / "rubric.yaml").write_text(yaml.safe_dump(a_rubric().model_dump(mode="json"), sort_keys=False))
    write_rows(folder / "prompts.jsonl", [PromptLine(prompt=f"Question {n}?", family=f"family-{n}") for n in range(40)])
    write_rows(folder / "critical.jsonl", [PromptLine(prompt=f"Critical {n}?", reference=str(n)) for n in range(4)])
    return Project.at(folder)


def review(project: Project, *, ties: bool = False) -> int:
    """Answer everything that lacks reviews, and return how many ratings were stored. With `ties` nobody prefers anything
    and nothing is acceptable."""
    with project.open_store() as store:
        store.add_reviewers(PANEL)
        items = store.items()
        missing = store.missing_reviews(items)
        texts = {completion.id: completion for completion in store.completions()}
        known = {(rating.item_id, rating.reviewer_id) for rating in store.ratings()}
        made = [_rating(store, project, item, reviewer, texts, ties=ties)
                for item in items if item.id in missing
                for reviewer in [r for r in PANEL if (item.id, r.id) not in known][:missing[item.id]]]
        return store.append_ratings(made)


def _rating(store: Store, project: Project, item: ReviewItem, reviewer: Reviewer, texts: dict[str, Completion], *,
            ties: bool) -> Rating:
    shown = [texts[completion] for completion in item.completion_ids]
    answer = _ranked(shown, ties=ties) if item.queue is Queue.RANK else _rated(shown[0], ties=ties)
    minutes = Random(item.id).randrange(1000)
    return Rating.of(item_id=item.id, reviewer_id=reviewer.id, version=1, answer=answer, rubric=project.rubric.hash,
                     submitted_at=START + timedelta(minutes=minutes), source=f"record-{item.id}")


def merit(text: str) -> float:
    """An arbitrary taste, the same for everybody: some texts are simply better."""
    return unit_interval(f"taste:{text}")


def _rated(shown: Completion, *, ties: bool) -> RateAnswer:
    good = merit(shown.text) > 0.5 and not ties
    verdict = VerdictValue.CORRECT if good else VerdictValue.INCORRECT
    # A tiny model never ends an answer, and what was cut off is no demonstration: the panel writes better ones.
    rewrite = None if good or ties else f"It is {unit_interval(shown.prompt_id):.2f}."
    return RateAnswer(criteria={criterion.name: 5 if good else 2 for criterion in a_rubric().criteria}, verdict=verdict,
                      flags=() if good else (Flag.HALLUCINATED,), rewrite=rewrite)


def _ranked(shown: list[Completion], *, ties: bool) -> RankAnswer:
    if ties:
        return RankAnswer(tiers=(tuple(completion.id for completion in shown),))
    best_first = sorted(shown, key=lambda completion: -merit(completion.text))
    return RankAnswer(tiers=tuple((completion.id,) for completion in best_first))
