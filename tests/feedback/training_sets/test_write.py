"""The build stage: nothing held out or audited enters, nothing is lost, and twice gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.aggregation.conclusions import RankVerdict, Verdict
from feedback.config import CurationConfig, SplitConfig
from feedback.curation import curate
from feedback.errors import InvalidInput, NothingToDo, StageRefused
from feedback.ids import FamilyId
from feedback.jsonl import read_rows
from feedback.lineage import manifest_hash, read_manifest
from feedback.schemas import Message, Prompt, Purpose
from feedback.training_sets.rows import PreferencePair, RankedSet, SftExample
from feedback.training_sets.split import held_out_families, is_held_out
from feedback.training_sets.write import SetsStage, Splitter, build, run
from tests.feedback.reviewed import Bench, rate
from tests.feedback.training_sets.stages import STAGE

HALF = SetsStage(split=SplitConfig(held_out_share=0.5))


@st.composite
def benches(draw: st.DrawFn) -> Bench:
    bench = Bench()
    for number in range(draw(st.integers(1, 6))):
        bench.prompt(f"q{number}", family=draw(st.sampled_from(["f0", "f1", "f2", "f3"])), critical=draw(st.booleans()))
        purpose = draw(st.sampled_from(Purpose))
        bench.rated(f"q{number}", "yes", by=[rate(rewrite=draw(st.sampled_from([None, "Yes."])))], purpose=purpose)
        bench.ranked(f"q{number}", ["a", "b"], by=[[[0], [1]]], purpose=purpose)
    return bench


def nothing_held_out_enters(splitter: Splitter, bench: Bench) -> None:
    """The property: no row is of a held-out or critical family or rests on an audit item, and the code itself refuses one."""
    sets = build(bench.contents, HALF, rewrites=bench.rewrites, splitter=splitter)
    forbidden = {prompt.family for prompt in bench.prompts.values() if is_held_out(prompt, HALF.split)}
    apart = {item.id for item in bench.items if item.purpose is not Purpose.TRAIN}
    assert not {row.family for row in sets.rows} & forbidden
    assert not {item for row in sets.rows for item in row.sources.items} & apart


@given(benches())
def test_no_held_out_critical_or_audited_row_enters(bench: Bench) -> None:
    nothing_held_out_enters(held_out_families, bench)


def test_a_splitter_that_forgets_the_critical_families_is_refused() -> None:
    def by_hash_alone(prompts: Iterable[Prompt], split: SplitConfig) -> frozenset[FamilyId]:
        return frozenset(prompt.family for prompt in prompts if not prompt.critical and is_held_out(prompt, split))

    bench = Bench()
    bench.prompt("critical", family="f", critical=True)
    bench.prompt("plain", family="f")
    bench.rated("plain", "yes", by=["correct"])
    nothing_held_out_enters(held_out_families, bench)
    with pytest.raises(StageRefused, match="family f is held out"):
        nothing_held_out_enters(by_hash_alone, bench)


def test_rows_of_synthetic_questions_are_marked_and_counted() -> None:
    bench = Bench()
    bench.prompts["made"] = bench.prompt("made").model_copy(update={"synthetic": True})
    for question in ("made", "asked"):
        bench.rated(question, "yes", by=["correct"])
        bench.rated(question, "no", by=["incorrect"])
        bench.ranked(question, ["a", "b"], by=[[[0], [1]]])
    sets = build(bench.contents, STAGE, rewrites={})
    marked = {(type(row).__name__, row.messages[0].content) for row in sets.rows if row.synthetic}
    assert marked == {(kind, "made") for kind in ("SftExample", "PreferencePair", "KtoExample", "RankedSet")}
    assert sets.card.synthetic == {"demonstrations": 1, "pairs": 2}
    assert "1 of the 2 demonstrations answer questions that a model or a template wrote" in sets.card.said


def test_a_splitter_that_overlooks_nearly_equal_questions_is_refused() -> None:
    def by_family_alone(prompts: Iterable[Prompt], split: SplitConfig) -> frozenset[FamilyId]:
        return frozenset(prompt.family for prompt in prompts if is_held_out(prompt, split))

    bench = Bench()
    bench.prompt("How do I return a damaged parcel to you?", family="f", critical=True)
    bench.prompt("how do i return the damaged parcel to you", family="h")
    bench.rated("how do i return the damaged parcel to you", "yes", by=["correct"])
    nothing_held_out_enters(held_out_families, bench)
    with pytest.raises(StageRefused, match="asks nearly what a held-out one asks"):
        nothing_held_out_enters(by_family_alone, bench)


def test_the_card_names_the_families_that_left_training() -> None:
    bench = Bench()
    bench.prompt("How do I return a damaged parcel to you?", family="f", critical=True)
    bench.prompt("how do i return the damaged parcel to you", family="g")
    bench.rated("how do i return the damaged parcel to you", "yes", by=["correct"])
    card = build(bench.contents, STAGE, rewrites=bench.rewrites).card
    assert card.ratings_left_out == {"held-out family": 1}
    assert card.joined[0].left_training == ("g",)
    assert card.said[2].startswith("1 families do not train because they ask nearly what a held-out one asks: g.")


def test_a_splitter_that_holds_out_nothing_is_refused() -> None:
    bench = Bench()
    for number in range(10):
        bench.prompt(f"q{number}", family=f"family-{number}")
        bench.rated(f"q{number}", "yes", by=["correct"])
    nothing_held_out_enters(held_out_families, bench)
    with pytest.raises(StageRefused, match="is held out"):
        nothing_held_out_enters(lambda _, __: frozenset(), bench)


def test_a_critical_prompt_that_only_the_project_knows_holds_out_its_family_and_its_question() -> None:
    bench = Bench()
    bench.prompt("one of the family", family="f")
    bench.rated("one of the family", "yes", by=["correct"])
    bench.rated("asked twice", "yes", by=["correct"])
    bench.rated("free", "yes", by=["correct"])
    known = [Prompt.of([Message(role="user", content=text)], family=family, critical=True)
             for text, family in (("critical", "f"), ("asked twice ", "g"))]
    assert [row.messages[0].content for row in build(bench.contents, STAGE, rewrites=bench.rewrites, known=known).sft] == ["free"]


def test_every_row_names_ratings_that_name_its_items_and_reviewers() -> None:
    bench = Bench()
    bench.rated("q", "yes", by=["correct", rate(rewrite="Yes.")])
    bench.rated("q", "no", by=["incorrect"])
    bench.ranked("q", ["a", "b", "c"], by=[[[0], [1, 2]], [[0], [1], [2]]], rewrite="best")
    ratings = {rating.id: rating for rating in bench.ratings}
    rows = build(bench.contents, STAGE, rewrites=bench.rewrites).rows
    assert len(rows) > 5
    for row in rows:
        behind = [ratings[id] for id in row.sources.ratings]
        assert {rating.item_id for rating in behind} == set(row.sources.items)
        assert {rating.reviewer_id for rating in behind} == set(row.sources.reviewers)
        assert behind


def curated(bench: Bench, folder: Path) -> Path:
    curate.run(CurationConfig(), snapshot=bench.sealed(folder / "01_snapshot"), out=folder / "02_curated")
    return folder / "02_curated"


def test_the_stage_writes_every_file_the_same_twice(tmp_path: Path) -> None:
    bench = Bench()
    bench.rated("q", "yes", by=["correct"])
    bench.ranked("q", ["a", "b", "c"], by=[[[0], [1, 2]]])
    source = curated(bench, tmp_path)
    for name in ("one", "two"):
        run(STAGE, curated=source, out=tmp_path / name)
    assert manifest_hash(tmp_path / "one") == manifest_hash(tmp_path / "two")
    kinds = {"verdicts": Verdict, "rank_verdicts": RankVerdict, "sft": SftExample, "pairs": PreferencePair, "rankings": RankedSet}
    assert {name: len(read_rows(tmp_path / "one" / f"{name}.jsonl", kind)) for name, kind in kinds.items()} == {
        "verdicts": 1, "rank_verdicts": 1, "sft": 1, "pairs": 2, "rankings": 1}
    card = json.loads((tmp_path / "one" / "card.json").read_text())
    assert card["comparisons"]["ties"] == 1
    assert read_manifest(tmp_path / "one").counts["ties"] == 1


def test_only_ties_and_no_demonstration_is_nothing_to_do_and_says_what_was_found(tmp_path: Path) -> None:
    bench = Bench()
    bench.ranked("q", ["a", "b"], by=[[[0, 1]]])
    bench.rated("q", "no", by=["incorrect"])
    with pytest.raises(NothingToDo, match=r"1 verdict: incorrect.*all 1 compared are ties"):
        run(STAGE, curated=curated(bench, tmp_path), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_ratings_of_held_out_families_are_counted_when_nothing_is_left(tmp_path: Path) -> None:
    bench = Bench()
    bench.prompt("q", critical=True)
    bench.rated("q", "yes", by=["correct"])
    with pytest.raises(NothingToDo, match="left out: 1 of critical question"):
        run(STAGE, curated=curated(bench, tmp_path), out=tmp_path / "out")


def test_a_snapshot_that_was_not_curated_is_refused(tmp_path: Path) -> None:
    bench = Bench()
    bench.rated("q", "yes", by=["correct"])
    with pytest.raises(InvalidInput, match="made by the stage 'seal'"):
        run(STAGE, curated=bench.sealed(tmp_path / "snapshot"), out=tmp_path / "out")


@given(benches())
def test_the_order_of_rows_changes_no_training_row(bench: Bench) -> None:
    contents = bench.contents
    turned = replace(contents, **{name: getattr(contents, name)[::-1] for name in ("prompts", "completions", "items", "ratings")})
    one, other = (build(each, HALF, rewrites=bench.rewrites) for each in (contents, turned))
    assert one.rows == other.rows
    assert one.card == other.card
