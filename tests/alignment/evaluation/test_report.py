import json
from pathlib import Path

import pytest

from alignment.evaluation import report
from alignment.evaluation.report import EvaluationStage, Report
from feedback.errors import InvalidInput
from feedback.ids import PolicyId
from feedback.jsonl import read_rows, write_rows
from feedback.lineage import changed_files, manifest_hash, read_manifest
from feedback.measures import Measured, Unscored
from feedback.rubric import Rubric
from feedback.schemas import Completion, Flag, Prompt, VerdictValue
from feedback.store.snapshot import read_snapshot
from tests.alignment.evaluation.audits import CANDIDATE, CHAMPION, form, questions, rated, sealed
from tests.people import a_completion

FALSE = [form(VerdictValue.INCORRECT, Flag.HALLUCINATED, value=2)] * 2
RIGHT = [form(), form()]
BOTH = EvaluationStage(candidate=CANDIDATE, champion=CHAMPION)
ALONE = EvaluationStage(candidate=CHAMPION)


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Round 1 reviewed the champion on six questions (all false), round 2 the candidate (four right, two false)."""
    asked = questions(6, critical=True)
    first = sealed(tmp_path / "0001" / "09_audit_snapshot", [rated(prompt, FALSE, policy=CHAMPION) for prompt in asked])
    second = sealed(tmp_path / "0002" / "09_audit_snapshot",
                    [rated(prompt, RIGHT if number < 4 else FALSE, round=2) for number, prompt in enumerate(asked)])
    return [first, second]


def written(folders: list[Path], out: Path, config: EvaluationStage = BOTH, asked: list[Path] | None = None) -> Report:
    report.run(config, audit_snapshots=folders, out=out, asked=asked or [])
    return report.read_report(out)


def test_the_champion_is_judged_by_an_earlier_rounds_reviews_of_the_same_prompts(folders: list[Path], tmp_path: Path) -> None:
    found = written(folders, tmp_path / "out")
    assert found.comparison is not None
    assert (found.comparison.good.pairs, found.comparison.good.gained, found.comparison.wins) == (6, 4, 4)
    assert isinstance(found.win_rate, Measured)
    assert found.win_rate.value == pytest.approx((4 + 2 / 2) / 6)


def test_a_report_holds_the_figures_of_both_policies(folders: list[Path], tmp_path: Path) -> None:
    found = written(folders, tmp_path / "out")
    assert found.champion is not None
    rates = [found.candidate.hallucination_rate, found.champion.hallucination_rate, found.candidate.critical_hallucination_rate]
    assert [rate.value for rate in rates if isinstance(rate, Measured)] == pytest.approx([2 / 6, 1, 2 / 6])
    assert set(found.candidate.criteria) == {"accuracy", "helpfulness", "tone", "safety"}


def test_a_lone_policy_has_no_win_rate_and_the_report_says_why(folders: list[Path], tmp_path: Path) -> None:
    found = written(folders[:1], tmp_path / "out", ALONE)
    assert (found.champion, found.comparison) == (None, None)
    assert found.win_rate == Unscored(reason="there is no champion to compare with")


def test_simulated_reviewers_are_counted_apart_from_people(tmp_path: Path) -> None:
    names = ["sim-anna", "reviewer-b"]
    folder = sealed(tmp_path / "s", [rated(prompt, RIGHT, policy=CHAMPION, names=names) for prompt in questions(2)], names)
    found = written([folder], tmp_path / "out", ALONE)
    assert (found.reviewers.people, found.reviewers.simulated) == (1, 1)
    assert "1 **simulated**" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


def test_the_same_audit_gives_the_same_bytes(folders: list[Path], tmp_path: Path) -> None:
    for name in ("a", "b"):
        written(folders, tmp_path / name)
    assert manifest_hash(tmp_path / "a") == manifest_hash(tmp_path / "b")
    assert {record.path for record in read_manifest(tmp_path / "a").outputs} == {"report.json", "report.md", "outcomes.jsonl"}
    assert changed_files(tmp_path / "a") == []


def test_every_audited_answer_stands_in_the_outcomes_file(folders: list[Path], tmp_path: Path) -> None:
    written(folders, tmp_path / "out")
    lines = (tmp_path / "out" / "outcomes.jsonl").read_text(encoding="utf-8").splitlines()
    assert sorted(json.loads(line)["result"] for line in lines) == ["correct"] * 4 + ["hallucinated"] * 8


def test_answers_that_were_asked_for_and_not_reviewed_are_known(folders: list[Path], tmp_path: Path) -> None:
    more = questions(8, critical=True)[6:]
    asked = tmp_path / "0002" / "07_samples"
    asked.mkdir()
    write_rows(asked / "prompts.jsonl", more)
    write_rows(asked / "completions.jsonl", [a_completion(prompt, policy=CANDIDATE) for prompt in more])
    outcomes = report.gather([read_snapshot(folder) for folder in folders], [asked])
    found = report.build(BOTH, outcomes, [read_snapshot(folder) for folder in folders])
    assert (found.candidate.critical.n, found.candidate.critical.unreviewed, found.candidate.answers.unreviewed) == (6, 2, 2)
    assert len(read_rows(asked / "prompts.jsonl", Prompt)) == len(read_rows(asked / "completions.jsonl", Completion)) == 2


def test_a_policy_without_an_answer_is_refused_and_those_that_have_one_are_named(folders: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no audited answer of the champion policy-x; policies there: .*policy-champion"):
        written(folders, tmp_path / "out", EvaluationStage(candidate=CANDIDATE, champion=PolicyId("policy-x")))
    assert not (tmp_path / "out").exists()


def test_a_rating_under_an_older_wider_scale_widens_the_scale(folders: list[Path]) -> None:
    snapshots = [read_snapshot(folder) for folder in folders]
    outcomes = report.gather(snapshots)
    old = [outcome.model_copy(update={"criteria": {"tone": 7.0}}) for outcome in outcomes]
    assert report.scales_of(old, snapshots)["tone"] == (1, 7)
    assert isinstance(report.build(BOTH, old, snapshots).candidate.criteria["tone"], Measured)


def test_a_criterion_that_nobody_rated_is_unscored(folders: list[Path]) -> None:
    snapshots = [read_snapshot(folder) for folder in folders]
    bare = [outcome.model_copy(update={"criteria": {}}) for outcome in report.gather(snapshots)]
    assert isinstance(Rubric.model_validate(snapshots[0].rubric.model_dump()), Rubric)
    assert isinstance(report.build(BOTH, bare, snapshots).candidate.criteria["safety"], Unscored)


def test_the_markdown_shows_value_interval_and_n(folders: list[Path], tmp_path: Path) -> None:
    written(folders, tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    # Clopper-Pearson of 2 of 6: 0.0433 to 0.7772
    assert "| hallucinated | 33.3 % (4.3 to 77.7, n = 6) | 100.0 % (54.1 to 100.0, n = 6) |" in text
    assert "Good answers: 4 gained, 0 lost." in text


def test_a_report_that_is_not_there_says_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="redpen align evaluate"):
        report.read_report(tmp_path)


def test_a_damaged_report_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"report\.json: not JSON"):
        report.read_report(tmp_path)
