"""Rankings made up for tests, a tiny policy, and TRL's own trainer on the same rankings expanded into pairs."""

from __future__ import annotations

import random
from pathlib import Path

from alignment.ranked.settings import RankedConfig
from feedback.aggregation.conclusions import Sources
from feedback.ids import ExampleId, FamilyId, PromptId
from feedback.schemas import Message
from feedback.training_sets.rows import RankedPair, RankedSet
from tests.tiny import tiny_tokenizer

NOBODY = Sources(items=(), completions=(), reviewers=(), ratings=())
WORDS = ["the", "ruler", "checks", "a", "red", "pen", "and", "marks", "what", "is", "false", "or", "unsure", "in", "answers"]


def ranking(name: str, prompt: str, completions: list[str], pairs: list[tuple[int, int, float]] | None = None,
            **changes) -> RankedSet:
    """A ranking; without `pairs`, the completions stand in order, best first."""
    if pairs is None:
        pairs = [(i, j, 0.0) for i in range(len(completions)) for j in range(i + 1, len(completions))]
    judged = tuple(RankedPair(better=i, worse=j, reversed_probability=p, origin="ranking") for i, j, p in pairs)
    made = RankedSet(id=ExampleId(name), prompt_id=PromptId(name), family=FamilyId(name), completions=tuple(completions),
                     messages=(Message(role="user", content=prompt),), pairs=judged, sources=NOBODY)
    return made.model_copy(update=changes)


def with_pairs(row: RankedSet, **changes) -> RankedSet:
    """The ranking with every pair changed; a list gives each pair its own value."""
    def own(place: int) -> dict:
        return {name: value[place] if isinstance(value, list) else value for name, value in changes.items()}

    return row.model_copy(update={"pairs": tuple(pair.model_copy(update=own(n)) for n, pair in enumerate(row.pairs))})


def rankings(count: int, *, size: int = 3, seed: int = 0, posterior: float = 0.0) -> list[RankedSet]:
    """Random rankings of `size` answers of unequal length."""
    chance = random.Random(seed)

    def text(most: int) -> str:
        return " ".join(chance.choice(WORDS) for _ in range(chance.randint(1, most)))

    pairs = [(i, j, posterior) for i in range(size) for j in range(i + 1, size)]
    return [ranking(f"r{n}", text(6), [text(5) for _ in range(size)], pairs) for n in range(count)]


def policy(*, seed: int = 0, dtype: str = "float32", family: str = "LlamaConfig", **changes):
    """A tiny PeftModel whose adapter already does something, for the tokenizer of `tests.tiny`."""
    import torch
    import transformers
    from peft import LoraConfig, get_peft_model

    tokenizer = tiny_tokenizer()
    shape = {"vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "bos_token_id": None,
             "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    torch.manual_seed(seed)
    config = getattr(transformers, family)(**shape | changes)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    for weight in model.parameters():
        if weight.dim() == 2:
            torch.nn.init.normal_(weight, std=0.15)
    adapter = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    return get_peft_model(model, adapter, autocast_adapter_dtype=False), tokenizer


def arguments(folder: Path, **changes):
    """TRL's DPOConfig for a CPU, quiet, one ranking after another."""
    from trl import DPOConfig

    settings = {"output_dir": str(folder / "run"), "use_cpu": True, "bf16": False, "activation_checkpointing": False,
                "per_device_train_batch_size": 4, "max_steps": 3, "learning_rate": 1e-3, "logging_steps": 1, "report_to": [],
                "save_strategy": "no", "disable_tqdm": True, "max_length": 128, "seed": 0, "beta": 0.3}
    return DPOConfig(**settings | changes)


def ranked_trainer(folder: Path, rows: list[RankedSet], *, model=None, ranked: RankedConfig | None = None, callbacks=None,
                   eval_rankings=None, **changes):
    """Our trainer with a cache under `folder`."""
    from alignment.ranked.trainer import RankedTrainer

    given, tokenizer = model or policy()
    settings = (ranked or RankedConfig()).model_copy(update={"cache": folder / "cache"})
    return RankedTrainer(given, arguments(folder, **changes), rankings=rows, processing_class=tokenizer, ranked=settings,
                         callbacks=callbacks, eval_rankings=eval_rankings)


def trl_trainer(folder: Path, rows: list[RankedSet], *, model=None, **changes):
    """TRL's trainer on every pair of the rankings."""
    from datasets import Dataset
    from trl import DPOTrainer

    given, tokenizer = model or policy()
    data = [{"prompt": [m.model_dump() for m in row.messages],
             "chosen": [{"role": "assistant", "content": row.completions[pair.better]}],
             "rejected": [{"role": "assistant", "content": row.completions[pair.worse]}]} for row in rows for pair in row.pairs]
    return DPOTrainer(given, args=arguments(folder, **changes), train_dataset=Dataset.from_list(data), processing_class=tokenizer)


def step(trainer) -> tuple[float, object]:
    """Loss and adapter gradients of all the trainer's rows as one batch."""
    import torch

    rows = [trainer.train_dataset[i] for i in range(len(trainer.train_dataset))]
    batch = trainer._prepare_inputs(trainer.data_collator(rows))
    trainer.model.train()
    trainer.model.zero_grad()
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    gradients = [p.grad.flatten() for n, p in sorted(trainer.model.named_parameters()) if p.grad is not None]
    return loss.item(), torch.cat(gradients).double()


def move_away(trainer) -> None:
    """Change the trained adapter, so that the policy is no longer its reference."""
    import torch

    generator = torch.Generator().manual_seed(7)
    for name, weight in sorted(trainer.model.named_parameters()):
        if ".default." in name:
            weight.data += 0.05 * torch.randn(weight.shape, generator=generator).to(weight.dtype)
