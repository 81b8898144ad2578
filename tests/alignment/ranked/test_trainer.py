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
    with_pairs,
)
from tests.alignment.ranked.textbook import loss_and_gradient

FAMILIES = {"llama": {}, "qwen2": {"family": "Qwen2Config"}, "qwen3": {"family": "Qwen3Config", "head_dim": 8},
            "mistral": {"family": "MistralConfig", "sliding_window": None},
            "mistral with a window": {"family": "MistralConfig", "sliding_window": 24},
            "qwen2 with a window": {"family": "Qwen2Config", "use_sliding_window": True, "sliding_window": 24,
                                    "max_window_layers": 1},
            "gemma 3": {"family": "Gemma3TextConfig", "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 24,
                        "sliding_window_pattern": 2},
            "phi-3": {"family": "Phi3Config"}, "phi-3 with a window": {"family": "Phi3Config", "sliding_window": 24}}


def mixed_rankings():
    """K = 2 to 6, unequal lengths, equal completions, ties left out."""
    sizes = [rankings(1, size=size, seed=seed) for seed, size in enumerate((2, 3, 6, 5), start=1)]
    return [*(row for rows in sizes for row in rows),
            ranking("tied", "which pen", ["red", "blue ink", "none", "red"],
                    [(0, 1, 0.0), (0, 2, 0.0), (3, 1, 0.0), (0, 3, 0.0)])]


def test_the_first_loss_is_ln_2(tmp_path):
    assert step(ranked_trainer(tmp_path, rankings(2)))[0] == pytest.approx(math.log(2), abs=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_float64_loss_and_gradient_are_the_textbooks(tmp_path, family):
    rows = [with_pairs(row, reversed_probability=0.1 * n, weight=1.0 + n) for n, row in enumerate(mixed_rankings())]
    trainer = ranked_trainer(tmp_path, rows, model=policy(dtype="float64", **FAMILIES[family]))
    move_away(trainer)
    (loss, gradient), (expected, expected_gradient) = step(trainer), loss_and_gradient(trainer, beta=0.3)
    assert loss == pytest.approx(expected, abs=1e-12)
    # These models normalise in float32 whatever their weights are, so gradients agree to its rounding.
    assert torch.cosine_similarity(gradient, expected_gradient, dim=0) > 1 - 1e-10
    assert torch.allclose(gradient, expected_gradient, rtol=1e-4, atol=1e-6)


def test_what_is_compared_by_the_textbook_would_show_a_forgotten_posterior(tmp_path):
    rows = [with_pairs(row, reversed_probability=0.2) for row in rankings(2)]
    trainer = ranked_trainer(tmp_path, rows, model=policy(dtype="float64"), ranked=RankedConfig(posterior=False))
    move_away(trainer)
    assert abs(step(trainer)[0] - loss_and_gradient(trainer, beta=0.3)[0]) > 1e-3


def test_after_a_resume_the_step_is_still_trls(tmp_path):
    settings = {"max_steps": 2, "save_strategy": "steps", "save_steps": 1}
    ranked_trainer(tmp_path, mixed_rankings(), **settings).train()
    ours, theirs = (make(tmp_path, mixed_rankings(), **settings | {"max_steps": 1}) for make in (ranked_trainer, trl_trainer))
    ours.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-1"))
    weights = {name: weight for name, weight in ours.model.named_parameters() if ".default." in name}
    for name, weight in theirs.model.named_parameters():
        if name in weights:
            weight.data.copy_(weights[name].data)
    (loss, gradient), (expected, expected_gradient) = step(ours), step(theirs)
    assert loss != pytest.approx(math.log(2), abs=1e-4)
    assert loss == pytest.approx(expected, abs=2e-5)
    assert torch.cosine_similarity(gradient, expected_gradient, dim=0) > 0.99999


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


@pytest.mark.parametrize("family", ["llama", "mistral with a window", "gemma 3"])
def test_checkpointing_changes_nothing(tmp_path, family):
    plain = ranked_trainer(tmp_path, rankings(2), model=policy(**FAMILIES[family]))
    saving = ranked_trainer(tmp_path, rankings(2), model=policy(**FAMILIES[family]), activation_checkpointing=True)
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


def test_nan_stops_training_names_the_ranking_and_keeps_the_last_good_checkpoint(tmp_path):
    settings = {"max_steps": 4, "per_device_train_batch_size": 1, "save_strategy": "steps", "save_steps": 1}

    class Break(transformers_callback()):
        def on_step_end(self, args, state, control, model, **_):
            if state.global_step == 2:
                next(p for n, p in model.named_parameters() if ".default." in n).data.fill_(math.nan)

    trainer = ranked_trainer(tmp_path, rankings(4), callbacks=[Break()], **settings)
    with pytest.raises(StageRefused, match=r"after step 2 .* not finite.*was not written"):
        trainer.train()
    assert [path.name for path in (tmp_path / "run").glob("checkpoint-*")] == ["checkpoint-1"]
    again = ranked_trainer(tmp_path, rankings(4), **settings)
    again.train(resume_from_checkpoint=True)
    assert again.state.global_step == 4


def test_a_loss_that_is_no_number_names_its_ranking(tmp_path):
    trainer = ranked_trainer(tmp_path, rankings(2))
    next(p for n, p in trainer.model.named_parameters() if ".default." in n).data.fill_(math.nan)
    with pytest.raises(StageRefused, match=r"from r0, r1.*Lower dpo\.trainer\.learning_rate"):
        trainer.train()


def test_out_of_memory_says_what_to_lower_and_leaves_the_checkpoint(tmp_path):
    settings = {"max_steps": 3, "save_strategy": "steps", "save_steps": 1}
    trainer = ranked_trainer(tmp_path, rankings(2), **settings)
    compute = trainer.compute_loss

    def refuse(*arguments, **named):
        if trainer.state.global_step == 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 137438953472 bytes")
        return compute(*arguments, **named)

    trainer.compute_loss = refuse
    with pytest.raises(StageRefused, match=r"step 1 .*lower dpo\.token_budget \(now 8192\) or model\.max_length"):
        trainer.train()
    again = ranked_trainer(tmp_path, rankings(2), ranked=RankedConfig(token_budget=100), **settings)
    again.train(resume_from_checkpoint=True)
    assert again.state.global_step == 3


def test_the_reference_that_does_not_fit_says_so_as_well(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("alignment.ranked.anchoring.score", refuse)
    with pytest.raises(StageRefused, match=r"out of memory at the reference .*token_budget"):
        ranked_trainer(tmp_path, rankings(2))


def test_a_cache_written_by_another_tokenizer_is_not_used(tmp_path):
    first = ranked_trainer(tmp_path, rankings(2))
    model, tokenizer = policy()
    tokenizer.chat_template = tokenizer.chat_template + " "
    other = ranked_trainer(tmp_path, rankings(2), model=(model, tokenizer))
    assert first.reference_cache.folder != other.reference_cache.folder
    assert other.record()["found_in_cache"] == 0


def test_a_prompt_longer_than_the_context_is_left_out_and_the_rest_trains(tmp_path):
    rows = [*rankings(2), ranking("long", "pen " * 200, ["red", "blue"])]
    trainer = ranked_trainer(tmp_path, rows, max_steps=1)
    assert trainer.reading.counts["prompt_too_long"] == 1
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
