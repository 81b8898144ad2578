"""The README of an exported dataset: what is in it, where it comes from, and what to beware of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml

from feedback.lineage import Manifest
from feedback.training_sets.card import SetsCard
from feedback.training_sets.trl_rows import TRAINER, Kind

SMALL_SLICE = 30
"""Rows below which a topic says little about itself."""


def dataset_card(card: SetsCard, made_from: Manifest, files: Mapping[Kind, str], counts: Mapping[Kind, int], *, licence: str,
                 topics: Mapping[str, int], simulated: Sequence[str]) -> str:
    """Markdown with the head that the Hugging Face Hub reads.

    `files`: the path of each kind; `topics`: demonstrations by topic; `simulated`: reviewers that are programs.
    """
    configs = [{"config_name": kind, "data_files": [{"split": "train", "path": path}]} for kind, path in files.items()]
    head = {"license": licence, "tags": ["human-feedback", "redpen"], "configs": configs}
    return "\n".join([
        "---", yaml.safe_dump(head, sort_keys=False, allow_unicode=True).strip(), "---", "",
        "# Training sets from reviewers' verdicts", "",
        *card.said, "", "## Rows", "", *_table(files, counts), "",
        "## Where they come from", "", *_origins(card, made_from, licence), "",
        "## Left out", "", *_left_out(card), "",
        "## Beware", "", *(f"* {line}" for line in _warnings(topics, licence, simulated)), ""])


def _table(files: Mapping[Kind, str], counts: Mapping[Kind, int]) -> list[str]:
    rows = [f"| {kind} | {counts[kind]} | `{path}` | {TRAINER[kind] or 'Redpen, engine: ranked'} |"
            for kind, path in files.items()]
    return ["| Kind | Rows | Where | Read by |", "|---|---|---|---|", *rows]


def _origins(card: SetsCard, made_from: Manifest, licence: str) -> list[str]:
    by_origin = [f"{count} {origin}" for origin, count in (card.demonstrations | card.pairs).items() if count]
    people = {share.reviewer for shares in card.reviewers.values() for share in shares}
    return [f"* Training sets `{made_from.hash}`, made from the curated snapshot `{made_from.inputs.get('curated', 'unknown')}`.",
            f"* {card.ratings} ratings read; rows rest on {len(people)} reviewers.",
            f"* Demonstrations and pairs by origin: {', '.join(by_origin) or 'none'}.",
            "* Each row names the items, answers, reviewers and ratings that it rests on (`source_items`, "
            "`source_completions`, `source_reviewers`, `source_ratings`); reviewers stand there by id, not by name.",
            "* `reversed_probability`: probability that a pair is the other way round, given all ratings. `weight`: how much a "
            "row counts, 1 on average. `margin`: how much better, in grades. `synthetic`: a model or a template wrote the "
            "question.",
            f"* Licence: {licence}."]


def _left_out(card: SetsCard) -> list[str]:
    groups = {"ratings": card.ratings_left_out, "answers refused as demonstrations": card.verdicts_refused,
              "rewrites": card.rewrites_refused, "preferences": card.preferences_left_out, "labels": card.labels_left_out}
    lines = [f"* {what}: {count} - {reason}" for what, reasons in groups.items() for reason, count in reasons.items() if count]
    lines += [f"* families {', '.join(group.families)} count as one ({'held out' if group.held_out else 'trained'})"
              for group in card.joined]
    return lines or ["* nothing"]


def _warnings(topics: Mapping[str, int], licence: str, simulated: Sequence[str]) -> list[str]:
    found = ["Held-out and critical questions, and every answer that judged a model, are not in it. Mixing it with other "
             "data may bring them back."]
    if licence == "unknown":
        found.append("Nobody has said under which licence it may be used: set `training_sets.licence`.")
    if simulated:
        found.append(f"{len(simulated)} of its reviewers are programs, not people: {', '.join(simulated[:5])}"
                     f"{', ...' if len(simulated) > 5 else ''}.")
    small = [f"{topic} ({count})" for topic, count in sorted(topics.items()) if count < SMALL_SLICE]
    if small:
        found.append(f"Topics with fewer than {SMALL_SLICE} demonstrations: {', '.join(small[:20])}"
                     f"{', ...' if small[20:] else ''}.")
    return found
