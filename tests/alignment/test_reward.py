"""The reward model orders answers as people did, and is refused when its head learned nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from alignment import reward
from alignment.config import RewardConfig
from alignment.reward_members import members_of, refuse_untrained_head, rows_of
from feedback.errors import BaseMismatch, StageRefused
from feedback.ids import FamilyId
from feedback.lineage import read_manifest
from feedback.schemas import Message, Prompt
from sft.adapters import read_policy
from sft.config import LoraConfig, ModelConfig
from tests.rows import pair, rankings_of, training_sets
from tests.tiny import tiny_base, tiny_config

PAIRS = [pair(f"q{i}", "yes " * (1 + i % 3), "no " * (1 + i % 2), margin=1.0 + i % 2) for i in range(20)]
ASKED = Prompt.of([Message(role="user", content="q50")])


def stage(base: Path, *, engine: str = "ranked", ensemble: int = 2, **trainer: object) -> reward.RewardStage:
    settings = RewardConfig.model_validate({"engine": engine, "ensemble": ensemble, "caution": 2.0,
                                            "trainer": {"learning_rate": 5e-3, "max_steps": 20} | trainer})
    return reward.RewardStage(model=tiny_config(base), lora=LoraConfig(r=4), reward=settings, seed=1)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_sets(tmp_path_factory.mktemp("sets") / "03", pairs=PAIRS)


@pytest.fixture(scope="module")
def trained(base: Path, sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reward") / "06_reward"
    reward.run(stage(base), training_sets=sets, out=out)
    return out


def test_preferred_answers_get_the_higher_reward_on_questions_never_seen(base, trained):
    good, bad, better, worse = reward.score(trained, tiny_config(base),
                                            [(ASKED, "yes"), (ASKED, "no"), (ASKED, "yes yes"), (ASKED, "no no")])
    assert min(good, better) > max(bad, worse) + 1
    metrics = reward.read_metrics(trained)
    assert (metrics.pairs, metrics.train_accuracy, metrics.warning) == (20, 1.0, None)
    assert [member.families_unseen for member in metrics.members] == [4, 4]


def test_accuracy_is_measured_on_families_that_a_member_never_saw(trained):
    held_out = reward.read_metrics(trained).held_out_accuracy
    assert (held_out.value, held_out.n) == (1.0, 8)
    assert 0.5 < held_out.low < 1.0


def test_each_member_leaves_out_other_families_and_too_few_are_all_kept():
    families = [FamilyId(f"f{i}") for i in range(20)]
    members = members_of(RewardConfig(ensemble=3), families, seed=0)
    assert [len(member.unseen) for member in members] == [4, 4, 4]
    assert len(frozenset().union(*(member.unseen for member in members))) == 12
    assert members[0].seed == 0
    assert len({member.seed for member in members}) == 3
    assert [member.unseen for member in members_of(RewardConfig(ensemble=3), families[:9], seed=0)] == [frozenset()] * 3


def test_a_member_never_trains_on_what_it_is_measured_on_and_weighs_whole_families():
    rows = rankings_of([pair(f"q{i}", *texts) for i in range(20) for texts in (("yes", "no"), ("yes", "why"))])
    [member] = members_of(RewardConfig(ensemble=1), [row.family for row in rows], seed=0)
    kept = rows_of(member, rows, alone=False)
    assert {row.family for row in kept} | member.unseen == {row.family for row in rows}
    assert all(len({each.weight for each in row.pairs}) == 1 for row in kept)
    assert len({row.pairs[0].weight for row in kept}) == 16
    assert rows_of(member, rows, alone=True) == [row for row in rows if row.family not in member.unseen]


def test_the_lower_bound_lies_so_many_spreads_under_the_mean(base, trained):
    [one] = reward.score_ensemble(trained, tiny_config(base), [(ASKED, "yes no")])
    assert len(one.members) == 2
    assert one.spread == pytest.approx(abs(one.members[0] - one.members[1]) / 2**0.5)
    assert one.lower == pytest.approx(one.mean - 2 * one.spread)  # the stage's own caution
    [bolder] = reward.score_ensemble(trained, tiny_config(base), [(ASKED, "yes no")], caution=0)
    assert bolder.lower == bolder.mean == pytest.approx(one.mean)


def test_relative_scores_leave_out_how_good_the_prompts_answers_are_at_large(base, trained):
    rows = [(ASKED, text) for text in ("yes", "no", "why")]
    scores = reward.score_ensemble(trained, tiny_config(base), rows, relative=True)
    assert [sum(values) for values in zip(*(each.members for each in scores), strict=True)] == pytest.approx([0, 0], abs=1e-5)
    plain = reward.score_ensemble(trained, tiny_config(base), rows)
    assert scores[0].mean - scores[1].mean == pytest.approx(plain[0].mean - plain[1].mean, abs=1e-5)


def test_members_that_say_other_things_are_reported():
    answers, pairs = [None] * 4, [(0, 1, FamilyId("f")), (2, 3, FamilyId("g"))]
    made = reward.Compared(answers=answers, pairs=pairs)
    members = members_of(RewardConfig(ensemble=2), [], seed=0)
    config = reward.RewardStage(model=ModelConfig(base="any"), reward=RewardConfig(ensemble=2))
    # Standard deviation 1 of both members' rewards; margins (2, 2) and (2, -2): spreads 0 and 4 / sqrt 2.
    found = reward._metrics(config, members, [[1.0, -1.0, 1.0, -1.0], [1.0, -1.0, -1.0, 1.0]], made)
    assert (found.split_pairs, found.disagreement) == (0.5, pytest.approx(2**0.5))
    assert [member.train_accuracy for member in found.members] == [1.0, 0.5]


def test_a_reward_depends_neither_on_the_order_nor_on_the_batch(base, trained):
    rows = [(ASKED, "yes" * (1 + i)) for i in range(9)]
    forward = reward.score(trained, tiny_config(base), rows, batch_size=2)
    backward = reward.score(trained, tiny_config(base), rows[::-1], batch_size=4)
    assert forward == pytest.approx(backward[::-1], abs=1e-4)
    assert reward.score(trained, tiny_config(base), []) == []


def test_the_margin_of_a_pair_enters_the_loss(base, tmp_path):
    def first_loss(margin: float) -> float:
        sets = training_sets(tmp_path / f"sets-{margin}", pairs=[row.model_copy(update={"margin": margin}) for row in PAIRS])
        out = tmp_path / f"out-{margin}"
        reward.run(stage(base, ensemble=1, max_steps=1), training_sets=sets, out=out)
        rows = [json.loads(line) for line in (out / "logs" / "curve.jsonl").read_text().splitlines()]
        return next(row["loss"] for row in rows if "loss" in row)

    # -log sigmoid(d - margin) rises by nearly as much as the margin does, once that is well above the difference d.
    assert first_loss(8.0) - first_loss(4.0) == pytest.approx(4.0, abs=0.3)


def test_the_same_work_gives_the_same_bytes_and_another_seed_another_head(base, sets, trained, tmp_path):
    again = reward.run(stage(base), training_sets=sets, out=tmp_path / "again")
    for adapter in ("adapter", "members/1"):
        assert read_policy(tmp_path / "again" / adapter) == read_policy(trained / adapter)
    assert read_policy(trained / "adapter") != read_policy(trained / "members" / "1")
    other = stage(base).model_copy(update={"seed": 2})
    assert reward.run(other, training_sets=sets, out=tmp_path / "other").outputs != again.outputs


def test_a_killed_run_keeps_the_members_that_were_finished(base, sets, trained, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        def killed(model, member, real=reward.seeded_base):
            if member.number == 1:
                raise KeyboardInterrupt
            return real(model, member)

        patch.setattr(reward, "seeded_base", killed)
        with pytest.raises(KeyboardInterrupt):
            reward.run(stage(base), training_sets=sets, out=tmp_path / "out")
    built: list[int] = []
    monkeypatch.setattr(reward, "seeded_base", lambda model, member, real=reward.seeded_base: built.append(
        member.number) or real(model, member))
    assert reward.run(stage(base), training_sets=sets, out=tmp_path / "out").outputs == read_manifest(trained).outputs
    assert built == [1]


def test_stock_trl_trains_an_ensemble_on_pairs(base, sets, tmp_path):
    manifest = reward.run(stage(base, engine="trl"), training_sets=sets, out=tmp_path / "out")
    assert (manifest.counts["read"], manifest.counts["trained"]) == (16, 16)  # four families are kept unseen
    assert reward.read_metrics(tmp_path / "out").train_accuracy == 1.0


def test_a_head_that_was_never_trained_is_refused(base, sets, tmp_path, monkeypatch):
    def frozen(*arguments, real=reward.start_adapter, **named):
        model = real(*arguments, **named)
        for name, weight in model.named_parameters():
            weight.requires_grad_(weight.requires_grad and "score" not in name)
        return model

    monkeypatch.setattr(reward, "start_adapter", frozen)
    with pytest.raises(StageRefused, match="the reward head was never trained"):
        reward.run(stage(base), training_sets=sets, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_head_at_all_is_refused_as_well():
    with pytest.raises(StageRefused, match="the reward head was never trained"):
        refuse_untrained_head({}, {})
    refuse_untrained_head({"score": torch.zeros(2)}, {"score": torch.ones(2)})


def test_order_that_luck_explains_is_a_warning():
    # At least 9 of 16 heads: 0.402; at least 13 of 16: 0.0106.
    assert "which luck does with probability 0.40" in reward.chance_warning(9, 16, "pairs")
    assert reward.chance_warning(13, 16, "pairs") is None


def test_a_reward_model_of_another_base_is_refused(trained, tmp_path):
    other = tiny_base(tmp_path, seed=1)
    with pytest.raises(BaseMismatch):
        reward.score(trained, tiny_config(other), [(ASKED, "yes")])


def test_an_answer_longer_than_the_model_takes_is_scored_on_its_beginning(base, trained):
    short = tiny_config(base, max_length=64)
    one, other = reward.score(trained, short, [(ASKED, "yes" * 100), (ASKED, "yes" * 50)])
    assert one == pytest.approx(other, abs=1e-5)
