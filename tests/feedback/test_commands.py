"""`redpen feedback` on folders and files: each step alone, as a person or a script runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from feedback.commands import feedback_app
from feedback.errors import InvalidInput, NothingToDo
from feedback.rubric import read_rubric
from feedback.schemas import Message, Prompt, Purpose, RateAnswer, Span, VerdictValue
from feedback.store.store import Store
from tests.feedback.reviewed import Bench

PROJECT = """\
kind: project
model: {base: smollm2}
split: {held_out_share: 0.000000001}
curation: {max_completion_characters: 30}
"""
RUBRIC = """\
kind: rubric
criteria:
  - {name: accuracy, title: Accuracy}
  - {name: tone, title: Tone}
  - {name: safety, title: Safety}
"""


def redpen(*arguments: str | Path) -> Any:
    """What `redpen feedback ... --json` prints; errors are raised as they are."""
    result = CliRunner().invoke(feedback_app, [str(each) for each in (*arguments, "--json")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose store holds two rated answers, one of them over-long, and one ranking with a tie."""
    bench = Bench()
    bench.rated("q", "yes", by=["correct", "correct"])
    bench.rated("q", "n" * 31, by=["incorrect"])
    bench.rated("audited", "yes", by=["correct"], purpose=Purpose.AUDIT)
    bench.ranked("q", ["a", "b", "c"], by=[[[0], [1, 2]]])
    (tmp_path / "redpen.yaml").write_text(PROJECT, encoding="utf-8")
    (tmp_path / "rubric.yaml").write_text(RUBRIC, encoding="utf-8")
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "q"}\n', encoding="utf-8")
    (tmp_path / "critical.jsonl").write_text('{"prompt": "c", "reference": "r"}\n', encoding="utf-8")
    with Store.open(tmp_path / "store.db") as store:
        bench.into(store)
    return tmp_path


def test_from_the_store_to_training_sets_one_step_at_a_time(project: Path) -> None:
    sealed, curated, sets = (project / name for name in ("sealed", "curated", "sets"))
    assert redpen("seal", "--dir", project, "--out", sealed)["counts"]["ratings"] == 4
    made = redpen("curate", sealed, curated)
    assert made["card"]["dropped"]["completion"] == {"over-long": 1}
    made = redpen("build", curated, sets)
    assert (made["counts"]["sft"], made["counts"]["pairs"], made["counts"]["ties"]) == (1, 2, 1)


def test_the_settings_of_the_project_around_a_folder_count(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    redpen("seal", "--dir", project, "--out", elsewhere / "sealed")
    assert redpen("curate", elsewhere / "sealed", elsewhere / "curated")["card"]["dropped"] == {}
    named = redpen("curate", elsewhere / "sealed", elsewhere / "named", "--dir", project)
    assert named["card"]["dropped"]["completion"] == {"over-long": 1}


def test_a_critical_prompt_of_the_project_keeps_its_family_out(project: Path) -> None:
    (project / "critical.jsonl").write_text('{"prompt": "q ", "reference": "r"}\n', encoding="utf-8")
    redpen("seal", "--dir", project, "--out", project / "sealed")
    redpen("curate", project / "sealed", project / "curated")
    with pytest.raises(NothingToDo, match="held-out family"):
        redpen("build", project / "curated", project / "sets")


def test_what_was_critical_once_keeps_its_family_out_though_it_left_the_file(project: Path) -> None:
    with Store.open(project / "store.db") as store:
        store.add_prompts([Prompt.of([Message(role="user", content="q ")], critical=True, reference="r")])
    redpen("seal", "--dir", project, "--out", project / "sealed")
    redpen("curate", project / "sealed", project / "curated")
    with pytest.raises(NothingToDo, match="held-out family"):
        redpen("build", project / "curated", project / "sets")
    with pytest.raises(NothingToDo, match="nothing to paraphrase"):
        redpen("augment", project / "more.jsonl", "--dir", project, "--topic", "none")


def test_audit_ratings_are_sealed_apart(project: Path) -> None:
    made = redpen("seal", "--dir", project, "--out", project / "audit", "--purpose", "audit")
    assert made["counts"]["ratings"] == 1
    with pytest.raises(InvalidInput, match="use train, audit or all"):
        redpen("seal", "--dir", project, "--out", project / "x", "--purpose", "test")


def test_verdicts_and_agreement_of_a_snapshot(project: Path) -> None:
    redpen("seal", "--dir", project, "--out", project / "sealed")
    said = redpen("aggregate", project / "sealed")
    assert sorted(verdict["outcome"] for verdict in said["verdicts"]) == ["correct", "incorrect"]
    assert len(said["rank_verdicts"][0]["pairs"]) == 3
    figures = redpen("agreement", project / "sealed")["agreement"]
    assert figures["verdict"]["kind"] == "unscored"
    assert "1 of 2 items" in figures["verdict"]["reason"]


def test_a_ratings_file_becomes_verdicts_in_the_documented_shape(tmp_path: Path) -> None:
    rows = [{"item": item, "reviewer": reviewer, "value": "yes"} for item in ("a", "b") for reviewer in ("x", "y", "z")]
    path = tmp_path / "ratings.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in [*rows, {"item": "c", "reviewer": "x", "value": "yes"},
                                                          {"item": "c", "reviewer": "y", "value": "no"}]))
    said = redpen("aggregate", "--ratings", path, "--method", "majority")
    assert [(row["item"], row["outcome"]) for row in said["verdicts"]] == [("a", "yes"), ("b", "yes"), ("c", None)]
    assert set(said["verdicts"][0]) == {"item", "outcome", "most_likely", "probability", "majority", "mean", "reviewers"}
    assert [row["reviewer"] for row in redpen("aggregate", "--ratings", path)["reviewers"]] == ["x", "y", "z"]


def test_known_answers_overrule_the_votes_and_measure_who_gave_them(tmp_path: Path) -> None:
    rows = [{"item": f"i{item}", "reviewer": reviewer, "value": value} for item in range(12)
            for reviewer, value in (("x", "yes"), ("y", "no"))]
    (tmp_path / "ratings.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (tmp_path / "gold.jsonl").write_text("\n".join(json.dumps({"item": f"i{item}", "value": "yes"}) for item in range(6)))
    said = redpen("aggregate", "--ratings", tmp_path / "ratings.jsonl", "--gold", tmp_path / "gold.jsonl")
    assert {row["outcome"] for row in said["verdicts"]} == {"yes"}
    assert said["reviewers"][0]["accuracy"] > 0.8 > said["reviewers"][1]["accuracy"]


def test_the_reviewers_and_their_profiles_of_a_snapshot_or_of_the_store(project: Path) -> None:
    from review_ui.cli import app

    redpen("seal", "--dir", project, "--out", project / "sealed")
    for where in ([str(project / "sealed")], ["--dir", str(project)]):
        said = json.loads(CliRunner().invoke(app, ["feedback", "reviewers", *where, "--json"], catch_exceptions=False).stdout)
        assert [row["name"] for row in said["reviewers"]] == ["sim-0", "sim-1"]
        assert sum(said["beside_majority"].values()) in (2, 3)
        said = json.loads(CliRunner().invoke(app, ["feedback", "integrity", *where, "--json"], catch_exceptions=False).stdout)
        assert (said["proposed"], said["quarantined"]) == ([], [])


@pytest.mark.parametrize("command", ["reviewers", "integrity"])
def test_simulated_reviewers_are_called_so_in_every_table(command: str, project: Path) -> None:
    from review_ui.cli import app

    shown = CliRunner().invoke(app, ["feedback", command, "--dir", str(project)], catch_exceptions=False).stdout
    assert [name for name in ("sim-0 (simulated)", "sim-1 (simulated)") if name not in shown] == []


def test_labelled_texts_are_written_with_what_experts_agree_on(tmp_path: Path) -> None:
    from review_ui.cli import app

    bench = Bench(read_rubric(Path("configs/rubric/labels.yaml")))
    form = RateAnswer(criteria={}, verdict=VerdictValue.CANNOT_TELL, choices={"topic": "billing", "urgency": "now"})
    bench.rated("A mail", "Where is my money?", by=[form, form], purpose=Purpose.TEXTS)
    given = bench.sealed(tmp_path / "snapshot")
    arguments = ["feedback", "labels", str(tmp_path / "labels.jsonl"), "--snapshot", str(given), "--json"]
    said = json.loads(CliRunner().invoke(app, arguments, catch_exceptions=False).stdout)
    assert (said["texts"], said["decided"]) == (1, {"topic": 1, "urgency": 1})
    [row] = map(json.loads, (tmp_path / "labels.jsonl").read_text(encoding="utf-8").splitlines())
    assert (row["text"], row["choices"]["topic"]["outcome"], row["read_by"]) == ("Where is my money?", "billing", 2)


def test_no_personal_data_of_the_store_stands_in_labelled_texts(project: Path) -> None:
    pytest.importorskip("presidio_analyzer", reason="presidio-analyzer comes with the `curation` extra")
    from review_ui.cli import app

    bench = Bench(read_rubric(Path("configs/rubric/labels.yaml")))
    form = RateAnswer(criteria={}, verdict=VerdictValue.CANNOT_TELL, choices={"topic": "billing", "urgency": "now"},
                      comment="of jo@example.com", spans=(Span(start=6, end=20, label="person", entity=True),))
    bench.rated("Mail of jo@example.com", "I am: jo@example.com!", by=[form], purpose=Purpose.TEXTS)
    (project / "rubric.yaml").write_text(Path("configs/rubric/labels.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    with Store.open(project / "store.db") as store:
        bench.into(store)
    out = project / "labels.jsonl"
    CliRunner().invoke(app, ["feedback", "labels", str(out), "--dir", str(project)], catch_exceptions=False)
    assert "jo@example.com" not in out.read_text(encoding="utf-8")
    [row] = map(json.loads, out.read_text(encoding="utf-8").splitlines())
    assert row["marks"][0]["words"] in row["comments"][0]
    assert row["marks"][0]["words"].startswith("<EMAIL_")


def test_other_models_of_the_reviewers_are_chosen_by_name(tmp_path: Path) -> None:
    rows = [{"item": f"i{item}", "reviewer": reviewer, "value": "yes" if (item % 2) != (reviewer == "z") else "no"}
            for item in range(20) for reviewer in ("w", "x", "y", "z")]
    (tmp_path / "ratings.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    for method in ("reliability", "one-coin"):
        said = redpen("aggregate", "--ratings", tmp_path / "ratings.jsonl", "--method", method)
        assert {row["outcome"] == row["majority"] for row in said["verdicts"]} == {True}
        assert said["reviewers"][3]["accuracy"] < 0.3 < 0.7 < said["reviewers"][0]["accuracy"]


def test_aggregate_wants_either_a_snapshot_or_a_file(tmp_path: Path) -> None:
    result = CliRunner().invoke(feedback_app, ["aggregate"])
    assert result.exit_code == 2
    assert "name a snapshot folder, or a file with --ratings" in result.output
    result = CliRunner().invoke(feedback_app, ["aggregate", "--ratings", str(tmp_path), "--method", "best"])
    assert result.exit_code == 2


def test_what_people_read_is_a_line_and_a_table(project: Path) -> None:
    redpen("seal", "--dir", project, "--out", project / "sealed")
    redpen("curate", project / "sealed", project / "curated")
    built = CliRunner().invoke(feedback_app, ["build", str(project / "curated"), str(project / "sets")]).stdout
    assert "1 demonstrations: 0 written by reviewers, 1 accepted answers" in built
    assert "2 pairs; of 3 compared in rankings 1 are ties and 0 undecided" in built
    for command in ("aggregate", "agreement"):
        assert "┃" in CliRunner().invoke(feedback_app, [command, str(project / "sealed")]).stdout


def test_a_dry_run_prints_the_plan_and_writes_nothing(project: Path) -> None:
    redpen("seal", "--dir", project, "--out", project / "sealed")
    (project / "pii.key").unlink(missing_ok=True)
    before = sorted(path.name for path in project.rglob("*"))
    card = redpen("curate", project / "sealed", "--dry-run")["card"]
    assert card["dropped"]["completion"] == {"over-long": 1}
    assert [name for name in sorted(path.name for path in project.rglob("*")) if name not in before] == []


def test_a_dry_run_with_a_folder_and_a_run_without_one_are_wrong_usage(project: Path) -> None:
    redpen("seal", "--dir", project, "--out", project / "sealed")
    for arguments in (["curate", str(project / "sealed")], ["curate", str(project / "sealed"), str(project / "x"), "--dry-run"]):
        assert CliRunner().invoke(feedback_app, arguments).exit_code == 2


def test_slices_and_their_warnings_are_printed(project: Path) -> None:
    redpen("seal", "--dir", project, "--out", project / "sealed")
    report = redpen("slices", project / "sealed")
    assert {each["dimension"] for each in report["slices"]} == {"topic", "language", "length", "reviewer"}
    assert report["balance"] == {"correct": 2, "incorrect": 1}


def test_paraphrases_of_a_topic_go_into_a_new_file(project: Path) -> None:
    (project / "prompts.jsonl").write_text('{"prompt": "q", "topic": "t"}\n', encoding="utf-8")
    made = redpen("augment", project / "more.jsonl", "--topic", "t", "--dir", project)
    assert made["questions"] == 3
    with pytest.raises(InvalidInput, match="exists already"):
        redpen("augment", project / "more.jsonl", "--topic", "t", "--dir", project)


def test_documents_are_curated_from_a_file(project: Path) -> None:
    pytest.importorskip("rensa", reason="rensa comes with the `curation` extra")
    (project / "documents.jsonl").write_text('{"text": "one"}\n{"text": "one"}\n', encoding="utf-8")
    assert redpen("documents", project / "documents.jsonl", "--dry-run")["card"]["dropped"] == {"document": {"near duplicate": 1}}
    assert redpen("documents", project / "documents.jsonl", project / "out")["counts"]["documents"] == 1
