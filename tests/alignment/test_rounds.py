import json
import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from alignment import overview, registry, rounds, steps, trail
from alignment.project import Project
from alignment.selection import Why
from feedback.errors import InvalidInput, LineageError, Locked, NothingToDo
from feedback.jsonl import read_rows
from feedback.lineage import manifest_hash
from feedback.schemas import Purpose, ReviewItem
from tests.loop import review, tiny_project

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path, base) -> Project:
    return tiny_project(tmp_path / "desk", base)


def hashes(project: Project) -> dict[str, str]:
    return {f"{folder.parent.name}/{folder.name}": manifest_hash(folder) for folder in trail.stage_folders(project)}


def through_round_one(project: Project, run=rounds.run) -> rounds.RoundState:
    run(project)
    review(project)
    run(project)
    review(project)
    return run(project, until=1)


def stopped_and_run_again(project: Project, **options) -> rounds.RoundState:
    try:
        return rounds.run(project, **options)
    except KeyboardInterrupt:
        return rounds.run(project, **options)


def test_round_zero_asks_the_base_and_waits_for_people(project):
    state = rounds.run(project)
    assert (state.round, state.waiting_for) == (0, "reviews")
    assert str(state) == "waiting: 16 reviews"  # 8 audit answers, 2 reviews each
    assert rounds.standing(project) == state
    assert rounds.run(project) == state


def test_a_form_that_judges_no_answers_has_no_rounds_and_asks_no_model(project):
    shutil.copy(Path(str(files("configs"))) / "rubric" / "labels.yaml", project.folder / "rubric.yaml")
    with pytest.raises(InvalidInput, match=r"judges no answers.*redpen review texts FILE"):
        rounds.run(Project.at(project.folder))
    assert not project.rounds.exists()


def test_what_is_due_is_told_and_not_only_that_something_is(project):
    rounds.run(project)
    review(project)
    assert str(rounds.standing(project)).startswith("reviewed (its gates are due: ")
    rounds.run(project, until=0)
    assert str(rounds.standing(project)).startswith("reviewed (round 1 is due: ")
    rounds.run(project, until=1)
    review(project)
    rounds.run(project, until=1, auto_approve=True)
    assert str(rounds.standing(project)).startswith("decided (new answers to review are due: ")


def test_a_queue_says_why_each_of_its_items_was_chosen(project):
    rounds.run(project)
    queue = project.round(0) / steps.QUEUE
    why = read_rows(queue / "why.jsonl", Why)
    assert {row.item_id for row in why} == {item.id for item in read_rows(queue / "items.jsonl", ReviewItem)}
    assert {row.how for row in why} == {"random", "left over"}, "nothing has been trained yet"


def test_known_answers_are_mixed_into_the_audit_and_the_queue_and_hold_nobody_up(project):
    lines = [{"prompt": f"Is {n} a number?", "completion": "Yes.", "verdict": "correct"} for n in range(3)]
    (project.folder / "gold.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert rounds.run(project).reviews == 16
    with project.open_store() as store:
        gold = store.items(purpose=Purpose.GOLD)
        assert sorted((item.reviews, item.beside) for item in gold) == [(1, None), (2, Purpose.AUDIT)]
        assert {known.item_id for known in store.gold()} == {item.id for item in gold}


def test_a_round_trains_judges_and_leads_every_row_back_to_people(project):
    through_round_one(project)
    folder = project.round(1)
    assert [(folder / step).is_dir() for step in (steps.SFT, steps.DPO, steps.REWARD, steps.DECISION)] == [True] * 4
    assert trail.problems(project) == []
    walked = trail.trace(project, trail.first_row(project))
    assert {step.name for step in walked.steps} <= {"sim-0", "sim-1", "sim-2"}
    assert "rated by sim-" in (told := str(trail.lines(walked)))
    assert told.count("rated by sim-") == told.count(" (simulated)")
    assert f"rounds/0001/{steps.SFT}" in walked.trained
    rows = overview.overview(project.folder)
    assert [row.number for row in rows] == [0, 1]
    assert rows[1].report.reviewers.simulated > 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory, base) -> dict[str, str]:
    """Hashes of a round that nothing stopped."""
    project = tiny_project(tmp_path_factory.mktemp("whole") / "desk", base)
    through_round_one(project)
    return hashes(project)


@pytest.mark.parametrize("step", [steps.CURATED, steps.SETS, steps.SFT, steps.DPO, steps.SAMPLES, steps.EVALUATION])
def test_a_round_stopped_after_any_step_ends_with_the_same_hashes(tmp_path, base, step, whole, monkeypatch):
    stopped = tiny_project(tmp_path / "stopped", base)
    finish = steps.made

    def stop_after(out, *arguments):
        done = finish(out, *arguments)
        if out.name == step and out.parent.name == "0001" and not (out.parent / "stopped").exists():
            (out.parent / "stopped").touch()
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(steps, "made", stop_after)
    through_round_one(stopped, run=stopped_and_run_again)
    assert (stopped.round(1) / "stopped").exists()
    assert hashes(stopped) == whole


def test_only_what_follows_a_change_is_made_again(project):
    rounds.run(project)
    review(project)
    rounds.run(project)
    before = hashes(project)
    rounds.run(Project.at(project.folder, ("dpo.beta=0.3",)))
    after = hashes(project)
    same = {name for name in before if before[name] == after[name]}
    assert f"0001/{steps.SFT}" in same
    assert f"0001/{steps.DPO}" not in same
    assert {name for name in same if name.startswith("0000")} == {name for name in before if name.startswith("0000")}


def test_ties_alone_train_nothing_say_so_and_queue_new_answers(project):
    rounds.run(project)
    review(project, ties=True)
    with pytest.raises(NothingToDo, match="nothing to train on"):
        rounds.run(project)
    assert not (project.round(1) / steps.SFT).exists()
    assert rounds.standing(project).waiting_for == "reviews"
    review(project)
    assert rounds.run(project).round == 2


def test_an_altered_byte_is_named(project):
    rounds.run(project)
    review(project)
    rounds.run(project)
    ratings = project.round(1) / steps.SNAPSHOT / "ratings.jsonl"
    ratings.write_bytes(ratings.read_bytes().replace(b'"accuracy":5', b'"accuracy":4', 1))
    found = trail.problems(project)
    assert any(line.startswith(f"{ratings}: altered") for line in found)
    assert any("is not what its id says" in line for line in found)
    with pytest.raises(LineageError, match="altered since"):
        rounds.run(project)


def test_two_workers_at_once_are_refused(project):
    with project.lock(), pytest.raises(Locked, match="another `redpen round run` is at work"):
        rounds.run(project)


def test_a_request_goes_on_with_the_reviews_there_are(project):
    rounds.run(project)
    review(project)
    assert rounds.run(project).round == 1
    rounds.request(project, actor="sim-lead", reason="enough for today")
    with pytest.raises(NothingToDo, match="no ratings yet"):
        rounds.run(project)  # nobody has rated the candidate at all: there is nothing to judge it by


def test_only_a_pass_can_be_approved(project):
    through_round_one(project)
    decision = rounds.read_decision(project.round(1) / steps.DECISION)
    assert decision.advance.outcome != "pass"
    with pytest.raises(InvalidInput, match="only a pass can be approved"):
        rounds.approve(project, 1, gate="advance", decline=False, actor="sim-lead", reason="looks fine to me")
    with project.open_store() as store:
        assert registry.champion(store) is None


def test_with_rl_the_candidate_is_of_that_step(tmp_path, base):
    project = tiny_project(tmp_path / "desk", base, rl={"enabled": True, "max_kl": 1000, "max_length_growth": 50, "watched": 4,
                                                        "trainer": {"max_steps": 1, "learning_rate": 1e-2}})
    rounds.run(project)
    review(project)
    rounds.run(project)
    with project.open_store() as store:
        r = steps.Round(project, store, 1)
        assert r.candidate_adapter == project.round(1) / steps.RL / "adapter"
    answers = steps.read_rows(project.round(1) / steps.SAMPLES / "completions.jsonl", steps.Completion)
    assert {row.policy_id for row in answers} == {registry.policy_of(project.round(1) / steps.RL / "adapter")}
    assert trail.problems(project) == []
