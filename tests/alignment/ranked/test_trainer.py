"""The trainer does TRL's step at a fraction of the work, and survives what runs go through."""

from __future__ import annotations

import math

import pytest
import torch

from alignment.ranked.settings import RankedConfig
from feedback.errors import InvalidInput, NothingToDo, StageRefused
from tests.alignment.ranked.rankings import (
    arguments,
    move_away,
    policy,
    ranked_trainer,
    ranking,
    rankings,
    step,
    trl_trainer,
)

FAMILIES = {"llama": {}, "qwen2": {"family": "Qwen2Config"}, "qwen3": {"family": "Qwen3Config", "head_dim": 8},
            "mistral": {"family": "MistralConfig", "sliding_window": None},
            "mistral with a window": {"family": "MistralConfig", "sliding_window": 24},
            "gemma 3": {"family": "Gemma3TextConfig", "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 24,
                        "sliding_window_pattern": 2},
            "phi-3": {"family": "Phi3Config"}}


def textbook(trainer, rows, beta: float) -> float:
    """DPO's loss of the expanded pairs in float64, each completion a row of its own with all its logits."""
    def logps(prompt, completion):
        logits = trainer.model(input_ids=torch.tensor([prompt + completion]), use_cache=False).logits[0].double()
        return logits.log_softmax(-1)[len(prompt) - 1:-1].gather(1, torch.tensor(completion)[:, None]).sum()

    losses = []
    with torch.no_grad():
        for tree in trainer._trees:
            ratios = []
            for completion in (tree.branches[b] for b in tree.branch_of):
                trainer.model.set_adapter("ref")
                reference = logps(tree.prompt, completion)
                trainer.model.set_adapter("default")
                ratios.append(logps(tree.prompt, completion) - reference)
            losses += [-torch.nn.functional.logsigmoid(beta * (ratios[p.better] - ratios[p.worse])) for p in tree.pairs]
    return torch.stack(losses).mean().item()


def mixed_rankings():
    """K = 2, 3, 4 and 6, unequal lengths, equal completions, ties left out."""
    return [*rankings(1, size=2, seed=1), *rankings(1, size=3, seed=2), *rankings(1, size=6, seed=3),
            ranking("tied", "which pen", ["red", "blue ink", "none", "red"],
                    [(0, 1, 0.0), (0, 2, 0.0), (3, 1, 0.0), (0, 3, 0.0)])]


def test_the_first_loss_is_ln_2(tmp_path):
    assert step(ranked_trainer(tmp_path, rankings(2)))[0] == pytest.approx(math.log(2), abs=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_float64_loss_is_the_textbooks(tmp_path, family):
    trainer = ranked_trainer(tmp_path, mixed_rankings(), model=policy(dtype="float64", **FAMILIES[family]))
    move_away(trainer)
    assert step(trainer)[0] == pytest.approx(textbook(trainer, mixed_rankings(), 0.3), abs=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradient_are_trls_on_the_expanded_pairs(tmp_path, family):
    ours = ranked_trainer(tmp_path, mixed_rankings(), model=policy(**FAMILIES[family]))
    theirs = trl_trainer(tmp_path, mixed_rankings(), model=policy(**FAMILIES[family]))
    move_away(ours)
    move_away(theirs)
    (loss, gradient), (expected, expected_gradient) = step(ours), step(theirs)
    assert loss == pytest.approx(expected, abs=2e-5)
    assert torch.cosine_similarity(gradient, expected_gradient, dim=0) > 0.99999


@pytest.mark.parametrize("loss", ["sigmoid", "ipo", "hinge", "robust"])
def test_every_loss_that_trl_has_is_trls(tmp_path, loss):
    settings = RankedConfig(losses=(loss,), noise_rate=0.2 if loss == "robust" else 0.0)
    ours = ranked_trainer(tmp_path, mixed_rankings(), ranked=settings)
    theirs = trl_trainer(tmp_path, mixed_rankings(), loss_type=[loss], label_smoothing=settings.noise_rate)
    move_away(ours)
    move_away(theirs)
    (value, gradient), (expected, expected_gradient) = step(ours), step(theirs)
    assert value == pytest.approx(expected, rel=2e-5)
    assert torch.cosine_similarity(gradient, expected_gradient, dim=0) > 0.99999


def test_the_sft_term_of_two_answers_is_trls(tmp_path):
    rows = rankings(3, size=2)
    ours = ranked_trainer(tmp_path, rows, ranked=RankedConfig(losses=("sigmoid", "sft"), loss_weights=(1.0, 0.3)))
    theirs = trl_trainer(tmp_path, rows, loss_type=["sigmoid", "sft"], loss_weights=[1.0, 0.3])
    move_away(ours)
    move_away(theirs)
    (value, gradient), (expected, expected_gradient) = step(ours), step(theirs)
    assert value == pytest.approx(expected, rel=1e-5)
    assert torch.cosine_similarity(gradient, expected_gradient, dim=0) > 0.99999


def test_bfloat16_stays_within_2e_3_of_trl(tmp_path):
    # One pair's loss moves by more when a single product is rounded the other way; the mean of many does not.
    rows = rankings(8, size=4)
    ours = ranked_trainer(tmp_path, rows, model=policy(dtype="bfloat16"))
    theirs = trl_trainer(tmp_path, rows, model=policy(dtype="bfloat16"))
    move_away(ours)
    move_away(theirs)
    assert step(ours)[0] == pytest.approx(step(theirs)[0], abs=2e-3)


def test_checkpointing_changes_nothing(tmp_path):
    plain = ranked_trainer(tmp_path, rankings(2))
    saving = ranked_trainer(tmp_path, rankings(2), activation_checkpointing=True)
    move_away(plain)
    move_away(saving)
    (loss, gradient), (same, same_gradient) = step(plain), step(saving)
    assert loss == pytest.approx(same, abs=1e-9)
    assert torch.allclose(gradient, same_gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("attention", ["mask", "rows"])
def test_every_attention_path_takes_the_same_step(tmp_path, attention):
    first = ranked_trainer(tmp_path, mixed_rankings())
    second = ranked_trainer(tmp_path, mixed_rankings(), ranked=RankedConfig(attention=attention))
    move_away(first)
    move_away(second)
    (loss, gradient), (same, same_gradient) = step(first), step(second)
    assert loss == pytest.approx(same, abs=2e-5)
    assert torch.cosine_similarity(gradient, same_gradient, dim=0) > 0.99999


def trained(trainer) -> dict[str, torch.Tensor]:
    trainer.train()
    return {name: weight.detach().clone() for name, weight in trainer.model.named_parameters() if ".default." in name}


def largest_gap(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    return max((first[name] - second[name]).abs().max().item() for name in first)


def test_accumulation_and_the_token_budget_do_not_change_training(tmp_path):
    rows = [*rankings(3, size=2), *rankings(3, size=4, seed=5)]
    whole = trained(ranked_trainer(tmp_path, rows, per_device_train_batch_size=6, max_steps=2))
    parts = trained(ranked_trainer(tmp_path, rows, per_device_train_batch_size=2, gradient_accumulation_steps=3, max_steps=2))
    small = trained(ranked_trainer(tmp_path, rows, per_device_train_batch_size=6, max_steps=2,
                                   ranked=RankedConfig(token_budget=150)))
    assert largest_gap(whole, parts) < 1e-5
    assert largest_gap(whole, small) < 1e-5


def test_a_killed_run_goes_on_bitwise(tmp_path):
    settings = {"max_steps": 6, "per_device_train_batch_size": 2, "save_strategy": "steps", "save_steps": 2}
    expected = trained(ranked_trainer(tmp_path / "a", rankings(8), **settings))

    class Kill(transformers_callback()):
        def on_step_end(self, args, state, control, **_):
            if state.global_step == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ranked_trainer(tmp_path / "b", rankings(8), callbacks=[Kill()], **settings).train()
    again = ranked_trainer(tmp_path / "b", rankings(8), **settings)
    again.train(resume_from_checkpoint=True)
    assert again.state.global_step == 6
    for name, weight in again.model.named_parameters():
        assert ".default." not in name or torch.equal(weight, expected[name])


def transformers_callback():
    from transformers import TrainerCallback

    return TrainerCallback


def test_trls_names_are_logged_and_a_model_card_is_written(tmp_path):
    trainer = ranked_trainer(tmp_path, rankings(4), save_strategy="steps", save_steps=3)
    trainer.train()
    logged = trainer.state.log_history[0]
    assert {"loss", "rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins", "logps/chosen",
            "logps/rejected", "logits/chosen", "logits/rejected", "entropy", "num_tokens", "mean_token_accuracy"} <= set(logged)
    assert "dpo" in (tmp_path / "run" / "README.md").read_text(encoding="utf-8").lower()


def test_the_figures_are_trls(tmp_path):
    ours, theirs = ranked_trainer(tmp_path, rankings(3)), trl_trainer(tmp_path, rankings(3))
    move_away(ours)
    move_away(theirs)
    step(ours)
    step(theirs)
    ours._report("train")
    for name, values in theirs._metrics["train"].items():
        if name != "num_tokens":
            assert ours._metrics["train"][name][-1] == pytest.approx(values[-1], rel=2e-4, abs=1e-5), name


def test_evaluation_reports_under_trls_names_and_takes_new_rankings(tmp_path):
    trainer = ranked_trainer(tmp_path, rankings(2), eval_rankings=rankings(3, seed=9))
    first = trainer.evaluate()
    assert first["eval_loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert "eval_rewards/accuracies" in first
    assert trainer.evaluate(rankings(2, seed=11))["eval_loss"] == pytest.approx(math.log(2), abs=1e-6)


def test_nan_stops_training_and_names_the_ranking(tmp_path):
    trainer = ranked_trainer(tmp_path, rankings(2))
    next(p for n, p in trainer.model.named_parameters() if ".default." in n).data.fill_(math.nan)
    with pytest.raises(StageRefused, match="r0"):
        trainer.train()


def test_out_of_memory_says_what_to_lower(tmp_path):
    trainer = ranked_trainer(tmp_path, rankings(2))

    def refuse(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    trainer.compute_loss = refuse
    with pytest.raises(StageRefused, match="token_budget"):
        trainer.train()


def test_rankings_without_a_preference_are_nothing_to_do(tmp_path):
    with pytest.raises(NothingToDo, match="only_ties"):
        ranked_trainer(tmp_path, [ranking("ties", "which", ["a", "b"], [])])


def test_trl_settings_that_the_engine_does_not_have_are_refused_together(tmp_path):
    with pytest.raises(InvalidInput, match="ranked engine") as refused:
        ranked_trainer(tmp_path, rankings(1), loss_type=["ipo"], ld_alpha=0.5)
    assert len(refused.value.problems) == 2


def test_the_second_run_computes_no_reference(tmp_path, monkeypatch):
    ranked_trainer(tmp_path, rankings(3))
    monkeypatch.setattr("alignment.ranked.anchoring.score", None)
    ranked_trainer(tmp_path, rankings(3), model=policy(), beta=0.9)


def test_the_callers_settings_are_left_as_they_were(tmp_path):
    args = arguments(tmp_path)
    model, tokenizer = policy()
    from alignment.ranked.trainer import RankedTrainer

    RankedTrainer(model, args, rankings=rankings(1), processing_class=tokenizer, ranked=RankedConfig(cache=tmp_path))
    assert args.precompute_ref_log_probs is False
