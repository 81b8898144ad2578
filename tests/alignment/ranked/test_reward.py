"""The packed reward trainer takes TRL's step on the expanded pairs."""

from __future__ import annotations

import pytest
import torch

from alignment.ranked.settings import RowsConfig
from feedback.errors import StageRefused
from tests.alignment.ranked.rankings import rankings, step, with_pairs
from tests.tiny import tiny_tokenizer

FAMILIES = {"llama": ("LlamaConfig", {}), "mistral with a window": ("MistralConfig", {"sliding_window": 24}),
            "gemma 3": ("Gemma3TextConfig", {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 24,
                                             "sliding_window_pattern": 2})}


def scorer(family: str = "llama", dtype: str = "float32"):
    import transformers
    from peft import LoraConfig, get_peft_model

    name, changes = FAMILIES[family]
    tokenizer = tiny_tokenizer()
    shape = {"vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "bos_token_id": None,
             "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "num_labels": 1}
    torch.manual_seed(0)
    config = getattr(transformers, name)(**shape | changes)
    model = transformers.AutoModelForSequenceClassification.from_config(config, dtype=getattr(torch, dtype))
    for weight in model.parameters():
        if weight.dim() == 2:
            torch.nn.init.normal_(weight, std=0.15)
    adapter = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="SEQ_CLS",
                         modules_to_save=["score"])
    return get_peft_model(model, adapter, autocast_adapter_dtype=False), tokenizer


def arguments(folder, **changes):
    from trl import RewardConfig

    settings = {"output_dir": str(folder / "run"), "use_cpu": True, "bf16": False, "activation_checkpointing": False,
                "per_device_train_batch_size": 4, "max_steps": 2, "logging_steps": 1, "report_to": [], "save_strategy": "no",
                "disable_tqdm": True, "max_length": 128, "seed": 0}
    return RewardConfig(**settings | changes)


def ours(folder, rows, *, model=None, ranked=None, **changes):
    from alignment.ranked.reward import RankedRewardTrainer

    given, tokenizer = model or scorer()
    return RankedRewardTrainer(given, arguments(folder, **changes), rankings=rows, processing_class=tokenizer, ranked=ranked)


def theirs(folder, rows, *, model=None, **changes):
    from datasets import Dataset
    from trl import RewardTrainer

    given, tokenizer = model or scorer()
    data = [{"prompt": [m.model_dump() for m in row.messages],
             "chosen": [{"role": "assistant", "content": row.completions[pair.better]}],
             "rejected": [{"role": "assistant", "content": row.completions[pair.worse]}], "margin": pair.margin}
            for row in rows for pair in row.pairs]
    return RewardTrainer(given, args=arguments(folder, **changes), train_dataset=Dataset.from_list(data),
                         processing_class=tokenizer)


def their_step(trainer):
    rows = [{k: v for k, v in trainer.train_dataset[i].items() if k in {"chosen_ids", "rejected_ids", "margin"}}
            for i in range(len(trainer.train_dataset))]
    trainer.model.train()
    trainer.model.zero_grad()
    loss = trainer.compute_loss(trainer.model, trainer._prepare_inputs(trainer.data_collator(rows)))
    loss.backward()
    gradients = [p.grad.flatten() for n, p in sorted(trainer.model.named_parameters()) if p.grad is not None]
    return loss.item(), torch.cat(gradients).double()


@pytest.mark.parametrize("attention", ["split", "mask", "rows"])
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradient_are_trls_on_the_expanded_pairs(tmp_path, family, attention):
    rows = [*rankings(2, size=3, seed=1), *rankings(1, size=5, seed=2)]
    value, gradient = step(ours(tmp_path, rows, model=scorer(family), ranked=RowsConfig(attention=attention)))
    expected, expected_gradient = their_step(theirs(tmp_path, rows, model=scorer(family)))
    assert value == pytest.approx(expected, abs=2e-5)
    assert torch.cosine_similarity(gradient, expected_gradient, dim=0) > 0.99999


def test_margins_and_centred_rewards_are_trls(tmp_path):
    rows = [with_pairs(row, margin=[1.0, 2.0, 0.5]) for row in rankings(2, size=3)]
    value, _ = step(ours(tmp_path, rows, center_rewards_coefficient=0.1))
    expected, _ = their_step(theirs(tmp_path, rows, center_rewards_coefficient=0.1))
    assert value == pytest.approx(expected, abs=2e-5)


def test_a_pair_that_is_half_certain_teaches_nothing_but_caution(tmp_path):
    trainer = ours(tmp_path, rankings(1, size=2, posterior=0.5))
    model = trainer.model
    with torch.no_grad():
        next(p for n, p in model.named_parameters() if "modules_to_save" in n and "score" in n).zero_()
    _, gradient = step(trainer)
    assert gradient.abs().max() < 1e-9


def test_training_logs_trls_names_and_moves_the_weights(tmp_path):
    trainer = ours(tmp_path, rankings(6), learning_rate=1e-2)
    before = {n: p.detach().clone() for n, p in trainer.model.named_parameters() if p.requires_grad}
    trainer.train()
    logged = set(trainer.state.log_history[0])
    assert {"loss", "min_reward", "mean_reward", "max_reward", "accuracy", "margin", "num_tokens"} <= logged
    assert any((before[n] - p).abs().max() > 0 for n, p in trainer.model.named_parameters() if p.requires_grad)


def test_nan_stops_training_and_names_the_ranking(tmp_path):
    trainer = ours(tmp_path, rankings(1))
    next(p for n, p in trainer.model.named_parameters() if p.requires_grad).data.fill_(float("nan"))
    with pytest.raises(StageRefused, match="r0"):
        trainer.train()
