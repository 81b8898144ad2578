"""The reference is computed once and by the same rows, however often the computing was interrupted."""

from __future__ import annotations

import pytest

from alignment.ranked import anchoring
from alignment.ranked.anchoring import base_and_reference, missing_forests
from alignment.ranked.packing import pack
from alignment.ranked.reference import ReferenceCache, completion_key
from alignment.ranked.settings import RankedConfig
from tests.alignment.ranked.rankings import policy, ranked_trainer, ranking, rankings

SMALL = RankedConfig(token_budget=150)


def numbers(trainer) -> dict[str, list[float]]:
    return {key: trainer.reference_cache.get(key).tolist() for tree in trainer._trees for branch in tree.branches
            for key in [completion_key(tree.prompt, branch)]}


def test_an_interrupted_computation_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    expected = numbers(ranked_trainer(tmp_path / "whole", rankings(6), ranked=SMALL))
    score, calls = anchoring.score, []

    def killed(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return score(*args, **kwargs)

    monkeypatch.setattr(anchoring, "score", killed)
    with pytest.raises(KeyboardInterrupt):
        ranked_trainer(tmp_path / "killed", rankings(6), ranked=SMALL)
    assert numbers(ranked_trainer(tmp_path / "killed", rankings(6), ranked=SMALL)) == expected


def test_a_new_judgement_of_old_completions_computes_nothing(tmp_path, monkeypatch):
    row = ranking("old", "which pen", ["red", "blue", "none"])
    ranked_trainer(tmp_path, [row])
    monkeypatch.setattr(anchoring, "score", None)
    ranked_trainer(tmp_path, [ranking("new", "which pen", ["blue", "none", "red"], [(2, 0, 0.1)])])


def test_only_rows_with_something_missing_are_computed(tmp_path):
    trainer = ranked_trainer(tmp_path, rankings(6), ranked=SMALL)
    assert missing_forests(trainer._trees, trainer.reference_cache, 150) == []
    empty = ReferenceCache(tmp_path / "other", _scope())
    assert len(missing_forests(trainer._trees, empty, 150)) == len(pack(trainer._trees, 150))


def _scope():
    from alignment.ranked.reference import Scope

    return Scope(base="b", adapter="a", dtype="d", attention="split", tokenizer="t")


def test_another_adapter_is_another_reference(tmp_path):
    first = ranked_trainer(tmp_path, rankings(2))
    second = ranked_trainer(tmp_path, rankings(2), model=policy(seed=3))
    assert first.reference_cache.folder != second.reference_cache.folder


def test_the_reference_can_be_another_adapter_than_the_one_that_training_starts_from(tmp_path):
    import math

    def zero(model):
        for name, weight in model.named_parameters():
            if ".ref." in name:
                weight.data.zero_()

    from alignment.ranked.trainer import RankedTrainer
    from tests.alignment.ranked.rankings import arguments, step

    model, tokenizer = policy()
    trainer = RankedTrainer(model, arguments(tmp_path), rankings=rankings(2), processing_class=tokenizer, set_reference=zero,
                            ranked=RankedConfig(cache=tmp_path))
    assert abs(step(trainer)[0] - math.log(2)) > 1e-3


def test_a_fresh_adapter_has_the_base_as_reference_whatever_its_random_half():
    from peft import LoraConfig, get_peft_model

    found = set()
    for seed in (0, 1):
        model = policy()[0].unload()
        import torch

        torch.manual_seed(seed)
        fresh = get_peft_model(model, LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
        fresh.add_adapter("ref", fresh.peft_config["default"])
        found.add(base_and_reference(fresh))
    assert len(found) == 1
    assert next(iter(found))[1] == "none"
