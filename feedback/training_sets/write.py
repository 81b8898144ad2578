"""Build: a curated snapshot becomes demonstrations, pairs and rankings, each row with everybody it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from feedback.config import SetsConfig, SplitConfig, Strict
from feedback.curation.curate import REWRITES, CuratedRewrite
from feedback.curation.duplicates import conversation
from feedback.curation.families import merged_families
from feedback.errors import InvalidInput, NothingToDo, StageRefused
from feedback.ids import FamilyId, RatingId, content_hash
from feedback.jsonl import read_rows, write_rows
from feedback.lineage import Draft, Manifest, read_manifest, writing
from feedback.schemas import Prompt, Purpose
from feedback.store.snapshot import Contents, read_snapshot
from feedback.training_sets.card import SetsCard, WeighedRows, make_card
from feedback.training_sets.kto import label
from feedback.training_sets.material import Material, gather
from feedback.training_sets.preferences import preferences
from feedback.training_sets.rankings import ranked_sets
from feedback.training_sets.rewrites import read_rewrites
from feedback.training_sets.rows import KtoExample, PreferencePair, RankedSet, SftExample
from feedback.training_sets.sft import demonstrations
from feedback.training_sets.split import held_out_families, is_held_out, joined_families
from feedback.training_sets.weights import topic_weights, weighed

Splitter: TypeAlias = Callable[[Iterable[Prompt], SplitConfig], frozenset[FamilyId]]


class SetsStage(Strict):
    """Configuration of the stage."""

    sets: SetsConfig = SetsConfig()
    split: SplitConfig = SplitConfig()


@dataclass(frozen=True)
class TrainingSets:
    """The rows, each kind sorted by id, and their card."""

    material: Material
    sft: tuple[SftExample, ...]
    pairs: tuple[PreferencePair, ...]
    kto: tuple[KtoExample, ...]
    rankings: tuple[RankedSet, ...]
    card: SetsCard

    @property
    def rows(self) -> tuple[SftExample | PreferencePair | KtoExample | RankedSet, ...]:
        """All of them."""
        return (*self.sft, *self.pairs, *self.kto, *self.rankings)


def run(stage: SetsStage, *, curated: Path, out: Path, known: Sequence[Prompt] = ()) -> Manifest:
    """Write the training sets of a curated snapshot, with card.json.

    `known`: the project's other prompts, critical ones above all; families that are held out because of them stay out too.
    Raises NothingToDo when there is neither a demonstration nor a pair, and StageRefused when a row must not train.
    """
    if read_manifest(curated).stage != "curate":
        raise InvalidInput(f"{curated}: made by the stage {read_manifest(curated).stage!r}, not by `curate`; "
                           "run `redpen feedback curate SNAPSHOT OUT` first")
    snapshot = read_snapshot(curated)
    inputs = {"curated": snapshot.hash} | ({"known": _hash_of(known)} if known else {})
    rewrites = {row.rating_id: row.text for row in read_rows(curated / REWRITES, CuratedRewrite)}
    sets = build(snapshot, stage, rewrites=rewrites, known=known)
    if not sets.sft and not sets.pairs:
        raise NothingToDo(f"{curated}: nothing to train on. {_found(sets.card)}")
    with writing(out, stage="training_sets", inputs=inputs, config=stage) as draft:
        _write(sets, draft)
    return read_manifest(out)


def build(contents: Contents, stage: SetsStage, *, rewrites: Mapping[RatingId, str], known: Iterable[Prompt] = (),
          splitter: Splitter = held_out_families) -> TrainingSets:
    """The training sets of curated contents and rewrites. Raises StageRefused when a held-out or audited row is among them."""
    prompts = (*contents.prompts, *known)
    held_out = splitter(prompts, stage.split)
    material = gather(contents, rewrites, held_out)
    written = read_rewrites(material)
    demos = demonstrations(material, written.usable, stage.sets)
    labelled = label(material, demos.examples, stage.sets)
    compared = preferences(material, written.usable, stage.sets)
    rows = _weigh(demos.examples, compared.pairs, labelled.rows, stage.sets)
    rankings = ranked_sets(rows.pairs, compared.ties, material)
    card = make_card(contents, material, held_out, joined=joined_families(prompts, stage.split), rewrites=written,
                     demonstrations=demos, preferences=compared, labelled=labelled, rankings=rankings, rows=rows)
    made = TrainingSets(material=material, sft=rows.sft, pairs=rows.pairs, kto=rows.kto, rankings=rankings, card=card)
    refuse_leaks(made, contents, prompts, stage.split)
    return made


def _weigh(examples: Sequence[SftExample], pairs: Sequence[PreferencePair], labelled: Sequence[KtoExample],
           sets: SetsConfig) -> WeighedRows:
    """Each kind of row by itself: the mean weight is 1 in each."""
    shares = {}
    sft, shares["sft"] = weighed(examples, wanted=topic_weights([row.topic for row in examples], sets.mixture),
                                 most=sets.max_reviewer_share)
    chosen, shares["pairs"] = weighed(pairs, wanted=[sets.origin_weights.get(row.origin, 1.0) for row in pairs],
                                      most=sets.max_reviewer_share)
    kto, shares["kto"] = weighed(labelled, wanted=[1.0] * len(labelled), most=sets.max_reviewer_share)
    return WeighedRows(sft=sft, pairs=chosen, kto=kto, shares=shares)


def refuse_leaks(sets: TrainingSets, contents: Contents, prompts: Iterable[Prompt], split: SplitConfig) -> None:
    """Raise StageRefused when a row is of a held-out family, asks a held-out question or nearly one, or rests on an audit item.

    Looks at every prompt anew and at nothing that the builder decided, so that a mistake there is found here.
    """
    every = list(prompts)
    held_out = [prompt for prompt in every if is_held_out(prompt, split)]
    families, questions = {prompt.family for prompt in held_out}, {conversation(prompt.messages) for prompt in held_out}
    leader = merged_families(every)
    near = {leader[family] for family in families}
    audited = {item.id for item in contents.items if item.purpose is not Purpose.TRAIN}
    problems = [f"{row.id}: family {row.family} is held out" for row in sets.rows if row.family in families]
    problems += [f"{row.id}: its question is held out" for row in sets.rows if conversation(row.messages) in questions]
    problems += [f"{row.id}: family {row.family} asks nearly what a held-out one asks" for row in sets.rows
                 if leader[row.family] in near]
    problems += [f"{row.id}: rests on audit or gold item {item}" for row in sets.rows for item in row.sources.items
                 if item in audited]
    if problems:
        raise StageRefused("\n".join([*problems[:20], f"{len(problems)} rows must not train; nothing was written"]))


def _hash_of(known: Sequence[Prompt]) -> str:
    return content_hash("prompts", sorted({(prompt.id, prompt.family, prompt.critical, prompt.synthetic) for prompt in known}))


def _found(card: SetsCard) -> str:
    """The card as one line, for a person who has nothing to train on."""
    left_out = ", ".join(f"{count} of {reason}" for reason, count in card.ratings_left_out.items())
    refused = ", ".join(f"{count} {reason}" for reason, count in card.verdicts_refused.items())
    return (f"Of {card.ratings} ratings, left out: {left_out or 'none'}. Answers refused as demonstrations: {refused or 'none'}. "
            f"{card.said[1][0].upper()}{card.said[1][1:]}. Collect more ratings with `redpen review sync`.")


def _write(sets: TrainingSets, draft: Draft) -> None:
    rows = {"verdicts": sets.material.verdicts.rate, "rank_verdicts": sets.material.verdicts.rank, "sft": sets.sft,
            "pairs": sets.pairs, "kto": sets.kto, "rankings": sets.rankings}
    for name, values in rows.items():
        draft.counts[name] = write_rows(draft.folder / f"{name}.jsonl", values)
    draft.counts |= {name: sets.card.comparisons[name] for name in ("judged", "ties", "undecided")}
    (draft.folder / "card.json").write_text(sets.card.model_dump_json(indent=1) + "\n", encoding="utf-8")
