"""The DPO stage starts at ln 2, moves from the rejected to the chosen, and refuses what prefers nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from alignment import dpo
from alignment.config import DpoConfig
from feedback.errors import BaseMismatch, InvalidInput, NothingToDo, StageRefused
from feedback.lineage import read_manifest
from feedback.schemas import Message, Prompt
from sft import train
from sft.adapters import load_policy, read_policy
from sft.chat import encoder
from sft.config import LoraConfig, SftConfig
from tests.rows import example, pair, rankings_of, training_sets
from tests.tiny import tiny_base, tiny_config

PAIRS = [pair(f"q{i}", "yes", "no way") for i in range(16)]


def stage(base: Path, *, max_length: int = 256, engine: str = "ranked", ranked: dict[str, object] | None = None,
          **trainer: object) -> dpo.DpoStage:
    settings = DpoConfig.model_validate({"engine": engine, "trainer": {"learning_rate": 2e-3, "max_steps": 6} | trainer}
                                        | (ranked or {}))
    return dpo.DpoStage(model=tiny_config(base, max_length=max_length), lora=LoraConfig(r=4, dropout=0.1), dpo=settings)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [example(f"q{i}", text) for i in range(16) for text in ("yes", "no way")]
    return training_sets(tmp_path_factory.mktemp("sets") / "03", examples=rows, pairs=PAIRS)


@pytest.fixture(scope="module")
def parent(base: Path, sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SFT adapter that says either."""
    out = tmp_path_factory.mktemp("sft") / "05_sft"
    config = train.SftStage(model=tiny_config(base), lora=LoraConfig(r=4, dropout=0.1),
                            sft=SftConfig(trainer={"learning_rate": 5e-3, "max_steps": 12}))
    train.run(config, training_sets=sets, out=out)
    return out / "adapter"


@pytest.fixture(scope="module")
def trained(base: Path, sets: Path, parent: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dpo") / "06_dpo"
    dpo.run(stage(base), training_sets=sets, parent=parent, out=out)
    return out


def curve(out: Path) -> list[dict[str, float]]:
    return [row for line in (out / "logs" / "curve.jsonl").read_text().splitlines() if "loss" in (row := json.loads(line))]


def preference(base: Path, adapter: Path) -> float:
    """Log-probability of the chosen answer minus that of the rejected one, on a question never trained on."""
    policy = load_policy(tiny_config(base), adapter)
    prompt, encode = Prompt.of([Message(role="user", content="q99")]), encoder(policy.tokenizer)

    def logp(text: str) -> float:
        row = encode(prompt.messages, text)
        with torch.no_grad():
            logps = torch.log_softmax(policy.model(torch.tensor([row.prompt + row.completion])).logits[0], dim=-1)
        return sum(float(logps[len(row.prompt) - 1 + i, token]) for i, token in enumerate(row.completion))

    return logp("yes") - logp("no way")


def test_the_first_loss_is_ln_2_and_training_moves_towards_the_chosen(base, parent, trained):
    losses = [row["loss"] for row in curve(trained)]
    assert losses[0] == pytest.approx(math.log(2), abs=1e-5)
    assert losses[-1] < 0.6
    assert preference(base, trained / "adapter") > preference(base, parent) + 1


def test_the_adapter_continues_its_parent_and_the_reference_is_not_kept(parent, trained):
    record = read_policy(trained / "adapter")
    assert (record.stage, record.parent) == ("dpo", read_policy(parent).policy_id)
    assert sorted(path.name for path in trained.iterdir()) == ["adapter", "logs", "manifest.json", "report.html", "report.json"]
    assert sorted(path.name for path in (trained / "adapter").iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors", "policy.json"]


def test_stock_trl_trains_the_same_whether_its_reference_judges_beforehand_or_in_each_step(base, sets, parent, trained, tmp_path):
    for name, beforehand in (("live", False), ("before", True)):
        dpo.run(stage(base, engine="trl", precompute_ref_log_probs=beforehand), training_sets=sets, parent=parent,
                out=tmp_path / name)
    live, before, ranked = ([row["loss"] for row in curve(out)] for out in (tmp_path / "live", tmp_path / "before", trained))
    assert live == pytest.approx(before, abs=1e-4)
    # Two answers to each question: here a ranking is a pair, and the engines take the same steps.
    assert ranked == pytest.approx(before, abs=1e-3)


def test_another_reference_is_the_one_that_is_kept_to(base, sets, parent, trained, tmp_path):
    manifest = dpo.run(stage(base), training_sets=sets, parent=trained / "adapter", reference=parent, out=tmp_path / "next")
    # The policy has left its reference before the first step, so this loss is where the stage before ended.
    assert curve(tmp_path / "next")[0]["loss"] == pytest.approx(curve(trained)[-1]["loss"], abs=0.05)
    assert set(manifest.inputs) == {"training_sets", "parent", "reference"}


def test_a_reference_of_another_base_is_refused(base, sets, parent, tmp_path):
    other = tiny_base(tmp_path / "base", seed=1)
    foreign = tmp_path / "foreign"
    train.run(train.SftStage(model=tiny_config(other), sft=SftConfig(trainer={"max_steps": 1})), training_sets=sets, out=foreign)
    with pytest.raises(BaseMismatch):
        dpo.run(stage(base), training_sets=sets, parent=parent, reference=foreign / "adapter", out=tmp_path / "out")


def test_without_a_parent_the_base_is_the_reference(base, sets, tmp_path):
    dpo.run(stage(base), training_sets=sets, parent=None, out=tmp_path / "out")
    assert curve(tmp_path / "out")[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert read_policy(tmp_path / "out" / "adapter").parent is None


@pytest.mark.parametrize("settings", [{"engine": "trl"}, {"engine": "trl", "precompute_ref_log_probs": False},
                                      {"engine": "trl", "loss_type": ["ipo"]}, {}, {"ranked": {"losses": ["ipo"]}}])
def test_a_reference_that_is_not_the_policy_is_found_before_training(base, sets, parent, tmp_path, monkeypatch, settings):
    for module, name in ((dpo.dpo_pairs, "trainer_of"), (dpo, "_ranked_trainer")):
        monkeypatch.setattr(module, name, policy_bent_after(getattr(module, name)))
    with pytest.raises(StageRefused, match=r"the first DPO loss is .*; a policy that equals its reference has ln 2 = 0\.693147"):
        dpo.run(stage(base, **settings), training_sets=sets, parent=parent, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def policy_bent_after(make):
    """The trainer, whose policy is no longer what its reference is a copy of."""
    def bent(*arguments, **named):
        trainer = make(*arguments, **named)
        for name, weight in trainer.model.named_parameters():
            if ".default." in name:
                weight.data.mul_(3.0)
        return trainer

    return bent


def test_a_stopped_run_ends_with_the_bytes_of_one_that_was_not(base, sets, parent, trained, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        from sft import watching

        def unplugged(self, args, state, control, real=watching._Watching.on_save, **rest):
            real(self, args, state, control, **rest)
            raise InterruptedError("unplugged")

        patch.setattr(watching._Watching, "on_save", unplugged)
        patch.setattr("sft.training.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
        with pytest.raises(InterruptedError):
            dpo.run(stage(base), training_sets=sets, parent=parent, out=tmp_path / "out")
    assert [path.name for path in (tmp_path / "out.partial" / "scratch").iterdir()] == ["checkpoint-1"]
    resumed = dpo.run(stage(base), training_sets=sets, parent=parent, out=tmp_path / "out")
    assert resumed.outputs == read_manifest(trained).outputs
    assert [row["loss"] for row in curve(tmp_path / "out")] == [row["loss"] for row in curve(trained)]


def test_a_run_that_ran_out_of_memory_goes_on_from_its_checkpoint_with_a_lower_budget(base, sets, tmp_path, monkeypatch):
    from alignment.ranked.trainer import RankedTrainer

    compute = RankedTrainer.row_loss

    def refuse(self, *arguments, **named):
        if self.state.global_step == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return compute(self, *arguments, **named)

    monkeypatch.setattr("sft.training.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(RankedTrainer, "row_loss", refuse)
        with pytest.raises(StageRefused, match=r"lower dpo\.token_budget .* The last checkpoint is intact"):
            dpo.run(stage(base), training_sets=sets, parent=None, out=tmp_path / "out")
    assert (tmp_path / "out.partial" / "scratch" / "checkpoint-3").is_dir()
    began: list[int] = []
    monkeypatch.setattr(RankedTrainer, "row_loss", lambda self, *arguments, **named: began.append(
        self.state.global_step) or compute(self, *arguments, **named))
    dpo.run(stage(base, ranked={"token_budget": 100}), training_sets=sets, parent=None, out=tmp_path / "out")
    assert min(began) == 3


@pytest.mark.parametrize(("engine", "said"), [
    ("ranked", ["answers 0 and 1 are both 'same'; a tie is never trained on as a preference",
                "answer 0 is empty; a preference needs two answers"]),
    ("trl", ["both texts are 'same'; a tie is never trained on as a preference",
             "one of its texts is empty; a preference needs two answers"])])
def test_pairs_that_prefer_nothing_are_refused_and_named(base, tmp_path, engine, said):
    sets = training_sets(tmp_path / "sets", pairs=[*PAIRS, pair("a", "same ", "same"), pair("b", " ", "no")])
    with pytest.raises(InvalidInput) as refused:
        dpo.run(stage(base, engine=engine), training_sets=sets, parent=None, out=tmp_path / "out")
    assert [problem.rpartition(": ")[2] for problem in refused.value.problems] == said


def test_pairs_with_a_side_too_long_are_dropped_and_counted_by_stock_trl(base, tmp_path):
    sets = training_sets(tmp_path / "sets", pairs=[*PAIRS, pair("long", "yes", "n" * 300)])
    manifest = dpo.run(stage(base, engine="trl", max_steps=1), training_sets=sets, parent=None, out=tmp_path / "out")
    assert manifest.counts == {"read": 17, "dropped_too_long": 1, "trained": 16, "steps": 1}


def test_everything_that_is_not_trained_on_as_it_stands_is_counted(base, tmp_path):
    circle = [pair("c", *texts) for texts in (("red", "blue"), ("blue", "pen"), ("pen", "red"))]
    rows = rankings_of([*PAIRS, pair("long", "yes", "n" * 300), pair("n" * 300, "yes", "no"), *circle])
    tied = rows[0].model_copy(update={"id": "tied", "pairs": (), "ties": ((0, 1),)})
    sets = training_sets(tmp_path / "sets", rankings=[*rows, tied])
    manifest = dpo.run(stage(base, max_steps=1), training_sets=sets, parent=None, out=tmp_path / "out")
    assert manifest.counts == {"rankings": 20, "read": 21, "ties": 1, "only_ties": 1, "prompt_too_long": 1, "dropped_too_long": 1,
                               "truncated": 1, "cyclic": 1, "duplicates": 0, "trained_rankings": 18, "trained": 20, "steps": 1}


def test_the_run_tells_how_it_computed_and_finds_the_reference_again(base, sets, tmp_path):
    for name, found in (("first", 0), ("second", 32)):
        config = stage(base, max_steps=1, ranked={"beta": 0.3, "cache": str(tmp_path / "cache")})
        dpo.run(config, training_sets=sets, parent=None, out=tmp_path / name)
        record = json.loads((tmp_path / name / "logs" / dpo.RECORD).read_text())
        assert (record["attention"], record["completions"], record["found_in_cache"]) == ("split", 32, found)
        assert record["packing_efficiency"] == 1.0


def test_a_ranking_of_one_names_its_line(base, tmp_path):
    sets = training_sets(tmp_path / "sets", pairs=PAIRS)
    path = sets / "rankings.jsonl"
    row = json.loads(path.read_text().splitlines()[0])
    path.write_text(json.dumps(row | {"completions": ["yes"], "pairs": []}) + "\n")
    with pytest.raises(InvalidInput, match=r"rankings\.jsonl:1: completions.*at least 2"):
        dpo.run(stage(base), training_sets=sets, parent=None, out=tmp_path / "out")


@pytest.mark.parametrize("engine", ["ranked", "trl"])
def test_no_preferences_is_nothing_to_do(base, tmp_path, engine):
    with pytest.raises(NothingToDo, match="no preferences to train on"):
        dpo.run(stage(base, engine=engine), training_sets=training_sets(tmp_path / "sets"), parent=None, out=tmp_path / "out")


def test_settings_of_one_engine_are_refused_with_the_other(base, sets, tmp_path):
    with pytest.raises(ValueError, match="losses can only be set with engine: ranked, and engine is trl"):
        stage(base, engine="trl", ranked={"losses": ["ipo"]})
    with pytest.raises(InvalidInput, match=r"dpo\.trainer\.loss_type is \['ipo'\].*set dpo\.losses"):
        dpo.run(stage(base, loss_type=["ipo"]), training_sets=sets, parent=None, out=tmp_path / "out")


@pytest.mark.parametrize("engine", ["ranked", "trl"])
def test_preferences_of_earlier_rounds_are_mixed_in_by_their_share(base, sets, tmp_path, engine):
    earlier = training_sets(tmp_path / "earlier", pairs=[pair(f"old{i}", "yes", "no way") for i in range(20)])
    manifest = dpo.run(stage(base, engine=engine, ranked={"replay_share": 0.2}, max_steps=1), training_sets=sets, parent=None,
                       replay=[earlier], out=tmp_path / "out")
    # 16 new rows are four fifths of 20.
    assert (manifest.counts["replay_available"], manifest.counts["replayed"]) == (20, 4)
    assert set(manifest.inputs) == {"training_sets", "replay_0"}


@pytest.mark.parametrize(("settings", "start"), [
    ({}, math.log(2)),
    ({"losses": ["sigmoid", "sft"]}, None),
    ({"losses": ["hinge"]}, None),
    ({"engine": "trl", "trainer": {"loss_type": ["sigmoid"]}}, math.log(2)),
    ({"engine": "trl", "trainer": {"loss_type": ["ipo"]}}, None),
])
def test_the_report_knows_the_first_loss_of_the_sigmoid_loss_alone(settings: dict[str, object], start: float | None):
    assert dpo.loss_at_reference(DpoConfig.model_validate(settings)) == start
