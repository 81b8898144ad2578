"""Every kind of row, in the training sets and in what was exported from them, is walked back to its people."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from alignment import steps, trail
from alignment.project import Project
from feedback.config import CurationConfig
from feedback.curation import curate
from feedback.guardrails.masking import SnapshotMask, masker_again
from feedback.guardrails.pii import make_masker
from feedback.lineage import writing
from feedback.schemas import Span
from feedback.store.snapshot import write_contents
from feedback.store.store import Store
from feedback.training_sets.export import FORMS, ExportConfig, run
from feedback.training_sets.row_texts import ROWS
from feedback.training_sets.write import run as build
from tests.feedback.reviewed import RUBRIC, Bench, rate
from tests.feedback.training_sets.stages import STAGE


def a_project(folder: Path) -> Project:
    """A round up to its training sets, with every kind of row, and the store that the ratings came from."""
    bench = Bench()
    bench.rated("q", "yes", by=["correct", "correct"])
    bench.rated("q", "maybe", by=[rate("incorrect", rewrite="yes, always")])
    bench.ranked("q", ["a", "b", "c"], by=[[[1], [0, 2]]])
    (folder / "redpen.yaml").write_text("kind: project\nmodel: {base: smollm2}\n", encoding="utf-8")
    (folder / "rubric.yaml").write_text(json.dumps(RUBRIC.model_dump(mode="json")), encoding="utf-8")
    with Store.open(folder / "store.db") as store:
        bench.into(store)
    round = folder / "rounds" / "0001"
    round.mkdir(parents=True)
    curate.run(CurationConfig(), snapshot=bench.sealed(round / steps.SNAPSHOT), out=round / steps.CURATED)
    build(STAGE, curated=round / steps.CURATED, out=round / steps.SETS)
    for form in FORMS:
        run(ExportConfig(form=form), training_sets=round / steps.SETS, out=folder / "exports" / form)
    return Project.at(folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_project(tmp_path_factory.mktemp("made")).folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Project:
    """A copy, to be altered."""
    shutil.copytree(made, tmp_path / "desk")
    return Project.at(tmp_path / "desk")


def forged(folder: Path, name: str, old: str, new: str) -> None:
    """The folder with a file altered, and a record that agrees with it: what a hash alone cannot notice."""
    with writing(folder, stage="training_sets", inputs={}, config={}) as draft:
        for path in folder.glob("*.json*"):
            if path.name != "manifest.json":
                (draft.folder / path.name).write_bytes(path.read_bytes())
        text = (draft.folder / name).read_text(encoding="utf-8")
        assert old in text
        (draft.folder / name).write_text(text.replace(old, new), encoding="utf-8")


def test_an_honest_project_has_no_problems_and_every_row_has_a_trail(project: Project) -> None:
    assert trail.problems(project) == []
    assert [folder.name for folder in trail.exports(project)] == sorted(FORMS)
    for name in ROWS:
        row = json.loads((project.round(1) / steps.SETS / name).read_text(encoding="utf-8").splitlines()[0])
        walked = trail.trace(project, row["id"])
        assert {step.name for step in walked.steps} <= {"sim-0", "sim-1"}
        assert walked.steps


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize(("kind", "said"), [("reviewers", "names reviewers"), ("items", "names items"),
                                            ("completions", "names answers"), ("ratings", "rests on ratings")])
def test_a_row_with_a_forged_source_is_told(project: Project, name: str, kind: str, said: str) -> None:
    sets = project.round(1) / steps.SETS
    row = json.loads((sets / name).read_text(encoding="utf-8").splitlines()[0])
    forged(sets, name, json.dumps(row["sources"][kind][0]), '"nobody"')
    assert any(line.startswith(f"{sets / name}: row ") and said in line for line in trail.problems(project))


def test_an_export_whose_rows_are_not_the_training_sets_is_told(project: Project) -> None:
    folder = project.folder / "exports" / "jsonl"
    record = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    with writing(folder, stage="export", inputs=record["inputs"], config=record["config"]) as draft:
        for path in folder.glob("*.jsonl"):
            text = path.read_text(encoding="utf-8")
            (draft.folder / path.name).write_text(text.replace("yes, always", "never, ever"), encoding="utf-8")
    found = trail.problems(project)
    assert any(line.startswith(f"{folder / 'sft.jsonl'}: row ") and "is not the one in" in line for line in found)
    assert any(line.startswith(f"{folder / 'pairs.jsonl'}: row ") for line in found)


def test_an_altered_export_and_one_of_other_training_sets_are_told(project: Project) -> None:
    exports = project.folder / "exports"
    (exports / "parquet" / "README.md").write_text("", encoding="utf-8")
    sets = project.round(1) / steps.SETS
    assert trail.problems(project) == [f"{exports / 'parquet' / 'README.md'}: altered since it was written"]
    forged(sets, "sft.jsonl", "yes, always", "yes, always!")
    assert any("which are not in this project" in line for line in trail.problems(project))


def masked_project(folder: Path, told: Callable[[str], str]) -> Project:
    """A project whose snapshot was masked, under a key of its own, after `told` changed what its ratings say."""
    project = a_project(folder)
    bench = Bench()
    words = "Ask a@example.com or Ana, always"
    bench.rated("who", words, by=[rate(rewrite=words).model_copy(update={"spans": (Span(start=21, end=24),)})])
    with Store.open(folder / "store.db") as store:
        bench.into(store)
    masker = make_masker(project.config.curation.pii.model_copy(update={"flag": ()}), b"of the project")
    assert masker is not None
    mask = SnapshotMask(masker)
    with writing(project.round(2) / steps.SNAPSHOT, stage="seal", inputs={}, config={"masked": mask.name}) as draft:
        write_contents(mask(bench.contents), draft.folder)
        path = draft.folder / "ratings.jsonl"
        path.write_text(told(path.read_text(encoding="utf-8")), encoding="utf-8")
    return project


def test_masked_ratings_are_the_stores_though_the_key_is_gone(tmp_path: Path) -> None:
    pytest.importorskip("presidio_analyzer", reason="presidio-analyzer comes with the `curation` extra")
    project = masked_project(tmp_path, lambda text: text)
    sealed = (project.round(2) / steps.SNAPSHOT / "ratings.jsonl").read_text(encoding="utf-8")
    assert "<EMAIL_" in sealed
    assert trail.problems(project) == []
    assert not (tmp_path / "pii.key").exists()


@pytest.mark.parametrize(("old", "new"), [
    pytest.param("always", "never", id="other words"), pytest.param("or Ana", "or a@example.com", id="an address put back"),
    pytest.param('"start":', '"severity":"major","start":', id="a graver mark")])
def test_a_masked_rating_that_says_something_else_is_told(old: str, new: str, tmp_path: Path) -> None:
    pytest.importorskip("presidio_analyzer", reason="presidio-analyzer comes with the `curation` extra")
    masked_project(tmp_path, lambda text: text.replace(old, new))
    with (tmp_path / "redpen.yaml").open("a", encoding="utf-8") as file:
        file.write("curation: {pii: {look: off}}\n")
    said, = trail.problems(Project.at(tmp_path))
    assert said.endswith("is not the store's with personal data masked; it was altered")


def test_a_mask_that_nobody_knows_is_said_and_accuses_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("masks shoe sizes; flags nothing; recognizers 2", "masks email; flags nothing; recognizers 1"):
        assert masker_again(name) is None
        assert "masked texts were not compared with the store's" in capsys.readouterr().err
    pytest.importorskip("presidio_analyzer", reason="presidio-analyzer comes with the `curation` extra")
    assert masker_again("masks email; flags nothing; recognizers 2") is not None
