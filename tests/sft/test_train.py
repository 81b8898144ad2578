"""The SFT stage learns, continues, replays, resumes, and refuses to call nothing a success."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from feedback.errors import BaseMismatch, InvalidInput, NothingToDo, StageRefused
from feedback.lineage import changed_files, read_manifest
from feedback.schemas import Message, Prompt
from sft import generate, train
from sft.adapters import load_policy, read_policy
from sft.config import LoraConfig, SamplingConfig, SftConfig
from tests.rows import example, training_sets
from tests.tiny import tiny_base, tiny_config

ROWS = [example(f"q{i}", "yes") for i in range(24)]


def stage(base: Path, *, replay_share: float = 0.2, max_length: int = 256, **trainer: object) -> train.SftStage:
    settings = {"learning_rate": 1e-2, "max_steps": 12} | trainer
    return train.SftStage(model=tiny_config(base, max_length=max_length), lora=LoraConfig(r=4),
                          sft=SftConfig(replay_share=replay_share, trainer=settings))


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_sets(tmp_path_factory.mktemp("sets") / "03", examples=ROWS)


@pytest.fixture(scope="module")
def trained(base: Path, sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sft") / "05_sft"
    train.run(stage(base, max_steps=25), training_sets=sets, out=out)
    return out


def curve(out: Path) -> list[dict[str, float]]:
    return [row for line in (out / "logs" / "curve.jsonl").read_text().splitlines() if "loss" in (row := json.loads(line))]


def test_a_policy_says_what_it_was_shown_on_prompts_it_never_saw(base, trained):
    prompts = [Prompt.of([Message(role="user", content=f"q{i}")]) for i in range(50, 54)]
    sampling = SamplingConfig(completions=1, temperature=0, max_new_tokens=8)
    before, after = (generate.sample(load_policy(tiny_config(base), adapter), prompts, sampling, 0)
                     for adapter in (None, trained / "adapter"))
    assert {row.text for row in after} == {"yes"}
    assert "yes" not in {row.text for row in before}


def test_the_folder_holds_the_adapter_its_curve_and_counts_and_no_scratch(trained):
    manifest = read_manifest(trained)
    assert [record.path for record in manifest.outputs] == [
        "adapter/adapter_config.json", "adapter/adapter_model.safetensors", "adapter/policy.json", "report.html", "report.json"]
    assert not (trained / "scratch").exists()
    assert manifest.counts == {"read": 24, "replay_available": 0, "replayed": 0, "dropped_too_long": 0, "trained": 24,
                               "steps": 25}
    assert curve(trained)[-1]["loss"] < curve(trained)[0]["loss"] / 2
    assert changed_files(trained) == []


def test_the_same_work_gives_the_same_bytes(base, sets, trained, tmp_path):
    again = train.run(stage(base, max_steps=25), training_sets=sets, out=tmp_path / "again")
    assert again.outputs == read_manifest(trained).outputs


def test_a_parent_is_continued_and_named(base, sets, trained, tmp_path):
    train.run(stage(base), training_sets=sets, parent=trained / "adapter", out=tmp_path / "next")
    record = read_policy(tmp_path / "next" / "adapter")
    assert record.parent == read_policy(trained / "adapter").policy_id
    # It goes on where its parent ended instead of starting again.
    assert curve(tmp_path / "next")[0]["loss"] < curve(trained)[0]["loss"] / 2


def test_a_parent_of_another_base_is_refused(sets, trained, tmp_path):
    with pytest.raises(BaseMismatch):
        train.run(stage(tiny_base(tmp_path / "base", seed=1)), training_sets=sets, parent=trained / "adapter", out=tmp_path / "x")


def test_earlier_rows_make_up_their_share_and_are_the_same_every_time(tmp_path):
    earlier = training_sets(tmp_path / "1", examples=[example(f"old{i}", "no") for i in range(30)])
    new = training_sets(tmp_path / "2", examples=[*ROWS[:12], example("old0", "no")])
    rows = train.read_examples(new, [earlier], share=0.35, seed=0)
    # 13 new rows are 65 % when 7 old ones are 35 %; the row that is in both is new.
    assert rows.counts == {"read": 13, "replay_available": 29, "replayed": 7}
    assert rows == train.read_examples(new, [earlier], share=0.35, seed=0)
    assert rows.examples[13:] != train.read_examples(new, [earlier], share=0.35, seed=1).examples[13:]
    assert train.read_examples(new, [earlier], share=0, seed=0).counts["replayed"] == 0
    assert train.read_examples(new, [earlier], share=1, seed=0).counts["replayed"] == 29


def test_rows_too_long_are_dropped_and_counted(base, tmp_path):
    sets = training_sets(tmp_path / "sets", examples=[*ROWS, example("long", "y" * 300)])
    manifest = train.run(stage(base, max_steps=1), training_sets=sets, out=tmp_path / "out")
    assert (manifest.counts["dropped_too_long"], manifest.counts["trained"]) == (1, 24)


def test_only_rows_that_are_too_long_is_nothing_to_do(base, sets, tmp_path):
    with pytest.raises(NothingToDo, match=r"all 24 rows have more than 16 tokens; raise model\.max_length"):
        train.run(stage(base, max_length=16), training_sets=sets, out=tmp_path / "out")


def test_no_demonstrations_is_nothing_to_do(base, tmp_path):
    with pytest.raises(NothingToDo, match="no demonstrations"):
        train.run(stage(base), training_sets=training_sets(tmp_path / "sets"), out=tmp_path / "out")


def test_every_row_that_cannot_be_trained_on_is_named_and_nothing_is_trained(base, tmp_path):
    late = ROWS[0].model_copy(update={"messages": (*ROWS[0].messages, Message(role="assistant", content="already"))})
    sets = training_sets(tmp_path / "sets", examples=[example("empty", " \n"), late, ROWS[1], ROWS[1]])
    with pytest.raises(InvalidInput) as refused:
        train.run(stage(base), training_sets=sets, out=tmp_path / "out")
    assert [problem.rpartition(": ")[2] for problem in refused.value.problems] == [
        "the completion is empty; nothing can be learned from it", "the last message is the assistant's; it must be the user's",
        "stands in the file more than once"]
    assert not (tmp_path / "out.partial").exists()


def test_a_run_that_changes_nothing_is_refused(base, sets, tmp_path):
    with pytest.raises(StageRefused, match="after 2 steps the adapter is what it was before"):
        train.run(stage(base, learning_rate=0.0, max_steps=2), training_sets=sets, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_loss_that_is_not_a_number_ends_the_stage(base, sets, tmp_path):
    with pytest.raises(StageRefused, match=r"(is nan|is inf|not finite)"):
        train.run(stage(base, learning_rate=1e30, max_grad_norm=0.0), training_sets=sets, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_said_and_the_same_command_goes_on(base, sets, trained, tmp_path, monkeypatch):
    config = stage(base, max_steps=25)
    with monkeypatch.context() as patch:
        patch.setattr(train, "save_adapter", lambda *_, **__: (tmp_path / "no" / "such").touch())
        with pytest.raises(FileNotFoundError):
            train.run(config, training_sets=sets, out=tmp_path / "out")
        patch.setattr("sft.training.ROOM", 1 << 62)
        with pytest.raises(StageRefused, match=r"the disk is full .*make room and run the same command"):
            train.run(config, training_sets=sets, out=tmp_path / "out")
    assert train.run(config, training_sets=sets, out=tmp_path / "out").outputs == read_manifest(trained).outputs


def test_a_value_that_trl_refuses_is_said_to_be_one(base, sets, tmp_path):
    with pytest.raises(InvalidInput, match=r"trainer: TRL's SFTConfig refuses it: .*sideways"):
        train.run(stage(base, lr_scheduler_type="sideways"), training_sets=sets, out=tmp_path / "out")


def test_a_base_without_a_chat_template_learns_by_the_default_one(sets, tmp_path):
    base = tiny_base(tmp_path / "base", template=None)
    train.run(stage(base, max_steps=2), training_sets=sets, out=tmp_path / "out")
    assert "Assistant:" in read_policy(tmp_path / "out" / "adapter").chat_template


def test_files_written_by_hand_can_be_trained_on_without_a_manifest(base, sets, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "sft.jsonl").write_bytes((sets / "sft.jsonl").read_bytes())
    manifest = train.run(stage(base, max_steps=1), training_sets=tmp_path / "mine", out=tmp_path / "out")
    assert manifest.inputs["training_sets"].startswith("files-")
