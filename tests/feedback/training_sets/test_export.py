"""Exports: what TRL's trainers read, what the Hub reads, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import load_dataset, load_from_disk

from feedback.config import CurationConfig
from feedback.curation import curate
from feedback.errors import InvalidInput, LineageError
from feedback.lineage import changed_files, manifest_hash, read_manifest
from feedback.schemas import Flag, Span
from feedback.training_sets.export import FORMS, ExportConfig, Form, exported_rows, run
from feedback.training_sets.trl_rows import KINDS
from feedback.training_sets.write import run as build
from tests.feedback.reviewed import Bench, rate
from tests.feedback.training_sets.stages import STAGE

MARKED = rate("incorrect", flags=[Flag.HALLUCINATED]).model_copy(update={"spans": (Span(start=0, end=2),)})


def training_sets(folder: Path, bench: Bench | None = None) -> Path:
    """Every kind of row: three demonstrations, pairs of several origins, a tie, marks, one question in Arabic."""
    if bench is None:
        bench = Bench()
        bench.rated("q", "yes", by=["correct"])
        bench.rated("q", "no, never", by=[MARKED])
        bench.rated("q", "maybe", by=[rate("incorrect", rewrite="yes, always")])
        bench.ranked("q", ["a", "b", "c"], by=[[[1], [0, 2]]])
        bench.rated("\u0645\u0627 \u0647\u0648\u061f", "\u0646\u0639\u0645", by=["correct"])
    curate.run(CurationConfig(), snapshot=bench.sealed(folder / "sealed"), out=folder / "curated")
    build(STAGE, curated=folder / "curated", out=folder / "sets")
    return folder / "sets"


def exported(folder: Path, form: Form, **settings: Any) -> Path:
    run(ExportConfig(form=form, **settings), training_sets=training_sets(folder), out=folder / form)
    return folder / form


@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same_rows_with_the_people_behind_them(tmp_path: Path, form: Form) -> None:
    folder = exported(tmp_path, form)
    rows = [json.loads(json.dumps(row)) for _, _, row in exported_rows(folder)]
    sets = {row["id"]: row for name in ("sft", "pairs", "kto", "rankings") for row in read(tmp_path / "sets" / f"{name}.jsonl")}
    wanted = set(sets) - ({row["id"] for row in read(tmp_path / "sets/rankings.jsonl")} if form == "trl" else set())
    assert {row["id"] for row in rows} == wanted
    for row in rows:
        sources = sets[row["id"]]["sources"]
        assert {name: row[f"source_{name}"] for name in sources} == sources
    assert changed_files(folder) == []
    assert read_manifest(folder).inputs == {"training_sets": manifest_hash(tmp_path / "sets")}


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_the_datasets_library_reads_every_kind_by_the_cards_head(tmp_path: Path, form: Form) -> None:
    folder = exported(tmp_path, form)
    for kind in KINDS:
        loaded = load_dataset(str(folder), kind, split="train", cache_dir=str(tmp_path / "cache"))
        assert len(loaded) == read_manifest(folder).counts[kind] > 0


def test_a_million_characters_go_through_whole(tmp_path: Path) -> None:
    text = "word " * 200_000
    bench = Bench()
    bench.rated("q", text, by=["correct"])
    curated = tmp_path / "curated"
    curate.run(CurationConfig(max_completion_characters=2_000_000), snapshot=bench.sealed(tmp_path / "sealed"), out=curated)
    build(STAGE, curated=curated, out=tmp_path / "sets")
    run(ExportConfig(form="parquet"), training_sets=tmp_path / "sets", out=tmp_path / "out")
    assert [row["completion"][0]["content"] for _, _, row in exported_rows(tmp_path / "out")] == [text, text]


def test_the_card_tells_counts_sources_licence_and_what_to_beware_of(tmp_path: Path) -> None:
    text = (exported(tmp_path, "parquet", licence="cc-by-4.0") / "README.md").read_text(encoding="utf-8")
    _, head, body = text.split("---\n", 2)
    assert yaml.safe_load(head)["license"] == "cc-by-4.0"
    assert [config["config_name"] for config in yaml.safe_load(head)["configs"]] == list(KINDS)
    for said in ("| sft | 3 | `data/sft.parquet` | SFTTrainer |", manifest_hash(tmp_path / "sets"), "* Licence: cc-by-4.0.",
                 "1 of its reviewers are programs", "Topics with fewer than 30 demonstrations: none (3)",
                 "all ratings are one reviewer's", "answers refused as demonstrations: 2 - verdict: incorrect"):
        assert said in body


def test_a_licence_that_nobody_named_is_a_warning(tmp_path: Path) -> None:
    text = (exported(tmp_path, "jsonl") / "README.md").read_text(encoding="utf-8")
    assert "Nobody has said under which licence it may be used" in text


def test_altered_training_sets_are_not_exported(tmp_path: Path) -> None:
    sets = training_sets(tmp_path)
    (sets / "pairs.jsonl").write_text("")
    with pytest.raises(LineageError, match=r"pairs\.jsonl: altered"):
        run(ExportConfig(form="trl"), training_sets=sets, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_and_one_of_another_stage_are_refused(tmp_path: Path) -> None:
    sets = training_sets(tmp_path)
    with pytest.raises(InvalidInput, match="is there already"):
        run(ExportConfig(form="jsonl"), training_sets=sets, out=sets)
    with pytest.raises(InvalidInput, match="made by the stage 'curate'"):
        run(ExportConfig(form="jsonl"), training_sets=tmp_path / "curated", out=tmp_path / "out")


def test_kinds_without_rows_are_left_out(tmp_path: Path) -> None:
    bench = Bench()
    bench.ranked("q", ["a", "b"], by=[[[0], [1]]])
    run(ExportConfig(form="trl"), training_sets=training_sets(tmp_path, bench), out=tmp_path / "out")
    assert read_manifest(tmp_path / "out").counts == {"pairs": 1, "reward": 1}
    assert len(load_from_disk(str(tmp_path / "out" / "pairs"))) == 1
