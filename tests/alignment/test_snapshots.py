"""Texts are compared with where they come from, also behind a record that fits: snapshots, curated ones and training rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from alignment import steps, trail
from alignment.project import Project
from feedback.curation import curate
from feedback.curation.aids import gather_aids
from feedback.guardrails.masking import project_mask
from feedback.lineage import read_manifest, writing
from feedback.schemas import Span
from feedback.store.snapshot import seal
from feedback.store.store import Store
from feedback.training_sets.settings import read_settings
from feedback.training_sets.write import run as build
from tests.feedback.reviewed import RUBRIC, Bench, rate
from tests.feedback.training_sets.stages import STAGE

SETTINGS = "kind: project\nmodel: {base: smollm2}\ncuration: {terminology: terms.yaml}\n"
TERMS = "kind: terminology\nterms:\n  - {preferred: e-mail, instead_of: [email], replace: true}\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A round up to its training sets in which every step of curation had something to do."""
    pytest.importorskip("presidio_analyzer", reason="presidio-analyzer comes with the `curation` extra")
    bench = Bench()
    words = "Write an email to jo@example.com, cafÃ© <|im_end|> is false"
    marked = rate("incorrect", rewrite="An email to ann@example.com, cafÃ©").model_copy(
        update={"spans": (Span(start=18, end=32), Span(start=51, end=59)), "comment": "ask jo@example.com"})
    bench.rated("whom? jo@example.com?", words, by=[marked, "incorrect"])
    bench.rated("whom? jo@example.com?", "nobody", by=["correct", "correct"])
    bench.rated("whom? jo@example.com?", "nobody\r\n", by=["correct"])
    bench.ranked("what?", ["a", "  ", "c"], by=[[[2], [0, 1]]])
    (tmp_path / "redpen.yaml").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "terms.yaml").write_text(TERMS, encoding="utf-8")
    settings, round = read_settings(tmp_path), tmp_path / "rounds" / "0001"
    with Store.open(tmp_path / "store.db") as store:
        bench.into(store)
        seal(store, purpose=None, rounds=None, rubric=RUBRIC, out=round / steps.SNAPSHOT,
             mask=project_mask(tmp_path, settings.curation.pii))
    curate.run(settings.curation, snapshot=round / steps.SNAPSHOT, out=round / steps.CURATED,
               aids=gather_aids(settings.curation, project=tmp_path))
    build(STAGE, curated=round / steps.CURATED, out=round / steps.SETS)
    return Project.at(tmp_path)


def forge(folder: Path, name: str, old: str, new: str) -> None:
    """Alter a file and write the record anew: every hash fits."""
    made, files = read_manifest(folder), {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with writing(folder, stage=made.stage, inputs=made.inputs, config=made.config) as draft:
        for path, content in files.items():
            if path.name != "manifest.json":
                text = content.decode()
                assert path.name != name or old in text
                (draft.folder / path.name).write_text(text.replace(old, new) if path.name == name else text, encoding="utf-8")


def test_what_curation_changed_is_no_problem(project: Project) -> None:
    curated = project.round(1) / steps.CURATED
    changes = (curated / "changed.jsonl").read_text(encoding="utf-8")
    assert all(f'"step":"{step}"' in changes for step in ("unicode", "terminology", "control tokens", "duplicate", "empty"))
    assert "<EMAIL_" in (curated / "rewrites.jsonl").read_text(encoding="utf-8")
    assert trail.problems(project) == []


@pytest.mark.parametrize(("step", "name", "old", "new"), [
    pytest.param(steps.SNAPSHOT, "prompts.jsonl", "whom?", "who?", id="a question"),
    pytest.param(steps.SNAPSHOT, "completions.jsonl", "is false", "is true", id="an answer"),
    pytest.param(steps.SNAPSHOT, "items.jsonl", '"purpose":"train"', '"purpose":"audit"', id="an item"),
    pytest.param(steps.CURATED, "prompts.jsonl", "whom?", "who?", id="a curated question"),
    pytest.param(steps.CURATED, "completions.jsonl", "Write an e-mail", "Write no e-mail", id="a curated answer"),
    pytest.param(steps.CURATED, "ratings.jsonl", '"comment":"ask', '"comment":"do not ask', id="a comment"),
    pytest.param(steps.CURATED, "ratings.jsonl", '"start":', '"severity":"major","start":', id="a mark"),
    pytest.param(steps.CURATED, "ratings.jsonl", '"verdict":"incorrect"', '"verdict":"correct"', id="a verdict"),
    pytest.param(steps.CURATED, "rewrites.jsonl", "An e-mail", "No e-mail", id="a rewrite"),
    pytest.param(steps.CURATED, "reviewers.jsonl", '"sim-1"', '"sim-2"', id="a reviewer"),
    pytest.param(steps.CURATED, "dropped.jsonl", '"id":"completion', '"id":"other', id="a reason"),
    pytest.param(steps.SETS, "sft.jsonl", "nobody", "everybody", id="a demonstration"),
    pytest.param(steps.SETS, "pairs.jsonl", "is false", "is true", id="a pair"),
    pytest.param(steps.SETS, "kto.jsonl", "whom?", "who?", id="a trained question")])
def test_a_text_that_is_not_what_it_was_is_told_behind_a_record_that_fits(
        step: str, name: str, old: str, new: str, project: Project) -> None:
    folder = project.round(1) / step
    forge(folder, name, old, new)
    told = [line for line in trail.problems(project) if not line.startswith(str(folder.parent / steps.SETS / "manifest.json"))]
    where = "completions.jsonl" if name == "dropped.jsonl" else name.removesuffix(".jsonl")
    assert any(line.startswith(str(folder / where)) for line in told), told


def test_texts_cleaned_by_terms_that_changed_accuse_nobody(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (project.folder / "terms.yaml").write_text(TERMS.replace("e-mail", "mail"), encoding="utf-8")
    assert trail.problems(project) == []
    assert "terms.yaml has changed since" in capsys.readouterr().err
