"""Preferences -> reward model: a single number per answer, trained with margins, refused when its head learned nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from alignment.config import RewardConfig
from alignment.pairs import EncodedPair, encode_pairs, read_pairs
from feedback.config import Strict, validate
from feedback.errors import StageRefused
from feedback.lineage import Manifest, read_manifest
from feedback.schemas import Prompt
from feedback.terminal import note, tracked
from sft.adapters import load_policy, save_adapter
from sft.chat import Encoded, encoder
from sft.config import ModelConfig
from sft.model import Base, load_base, set_threads
from sft.silence import quiet
from sft.trainer_args import Recipe, is_main_process, trainer_arguments
from sft.training import StageConfig, build, sets_hash, start_adapter, train, without_preparation, writing_together

RECIPE = Recipe(kind="RewardConfig", learning_rate=5e-4, batch_size=8, epochs=2, fewest_steps=30, most_epochs=6)
METRICS = "metrics.json"
Rewards = Callable[[Sequence[tuple[Prompt, str]]], list[float]]
"""(prompt, answer) rows -> rewards, in order."""
HEAD = "score"
"""Name of the layer that turns the last token's state into the reward."""


class RewardStage(StageConfig):
    """Everything that decides a reward model, beside its training sets."""

    reward: RewardConfig = RewardConfig()


class RewardMetrics(Strict):
    """`metrics.json` of a reward model."""

    pairs: int
    train_accuracy: float
    """Share of its own training pairs that it orders as people did, 0 to 1. Chance is 0.5."""
    warning: str | None
    """Why its rewards should not be trusted; None when nothing speaks against it."""


def run(config: RewardStage, *, training_sets: Path, out: Path) -> Manifest:
    """Train a reward model on `training_sets`/pairs.jsonl; write `out`/adapter and `out`/metrics.json.

    Raises NothingToDo without a pair that fits, InvalidInput for pairs that prefer nothing, StageRefused when training came to
    nothing or the head was never trained.
    """
    pairs = read_pairs(training_sets)
    sets = sets_hash(training_sets)
    with writing_together(out, stage="reward", inputs={"training_sets": sets}, config=config) as draft:
        draft.threads = set_threads(config.model)
        base = _seeded_base(config)
        model = start_adapter(base, None, config.lora, seed=config.seed, task="reward")
        rows = encode_pairs(pairs, base.tokenizer, max_length=config.model.max_length, counts=draft.counts)
        trainer = _trainer(config, base, model, rows, scratch=draft.scratch)
        before = head_weights(model)
        train(trainer, draft, title="reward")
        refuse_untrained_head(before, head_weights(model))
        if is_main_process():
            save_adapter(model, draft.folder / "adapter", base=base, parent=None, stage="reward", training_sets=sets)
            metrics = _metrics(model, base, rows, batch=trainer.args.per_device_train_batch_size)
            (draft.folder / METRICS).write_text(json.dumps(metrics.model_dump(), indent=1) + "\n", encoding="utf-8")
    return read_manifest(out)


def _seeded_base(config: RewardStage) -> Base:
    """The base with a fresh head, the same for the same seed."""
    import torch

    torch.manual_seed(config.seed)
    return load_base(config.model, task="reward")


def _trainer(config: RewardStage, base: Base, model: Any, rows: Sequence[EncodedPair], *, scratch: Path) -> Any:
    arguments = trainer_arguments(RECIPE, config.reward.trainer, model=config.model, seed=config.seed, rows=len(rows),
                                  scratch=scratch)
    with quiet():
        from datasets import Dataset
        from trl import RewardTrainer

        dataset = Dataset.from_dict({"chosen_ids": [row.chosen.prompt + row.chosen.completion for row in rows],
                                     "rejected_ids": [row.rejected.prompt + row.rejected.completion for row in rows],
                                     "margin": [row.margin for row in rows]})
    return build(without_preparation(RewardTrainer), model=model, args=arguments, train_dataset=dataset,
                 processing_class=base.tokenizer)


def head_weights(model: Any) -> dict[str, Any]:
    """The weights of the reward head that is in use, by name."""
    return {name: weight.detach().cpu().clone() for name, weight in model.named_parameters()
            if HEAD in name.split(".") and "original_module" not in name}


def refuse_untrained_head(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Raise StageRefused when the head is what it was: its rewards would be a random projection."""
    import torch

    if not after or all(torch.equal(weight, before[name]) for name, weight in after.items()):
        raise StageRefused("the reward head was never trained: its weights are the random ones it started with, so its rewards "
                           "would mean nothing; the head must be among the trained modules")


def _metrics(model: Any, base: Base, rows: Sequence[EncodedPair], *, batch: int) -> RewardMetrics:
    rewards = _rewards(model, base.tokenizer, [side for row in rows for side in (row.chosen, row.rejected)], batch=2 * batch)
    right = sum(chosen > rejected for chosen, rejected in zip(rewards[::2], rewards[1::2], strict=True))
    warning = chance_warning(right, len(rows))
    if warning:
        note(f"reward: {warning}")
    return RewardMetrics(pairs=len(rows), train_accuracy=right / len(rows), warning=warning)


def chance_warning(right: int, pairs: int) -> str | None:
    """Says so when ordering `right` of `pairs` as people did could be luck: one-sided exact test against 0.5 at 5 %."""
    from scipy.stats import binomtest

    luck = binomtest(right, pairs, 0.5, alternative="greater").pvalue
    if luck <= 0.05:
        return None
    return (f"orders {right} of its own {pairs} training pairs as people did, which luck does with probability {luck:.2f}; "
            "collect more rankings, or train longer, before its rewards choose anything")


def read_metrics(out: Path) -> RewardMetrics:
    """The metrics of a finished reward stage."""
    path = out / METRICS
    return validate(json.loads(path.read_text(encoding="utf-8")), RewardMetrics, source=str(path))


def score(adapter: Path, model: ModelConfig, rows: Sequence[tuple[Prompt, str]], *, batch_size: int = 16) -> list[float]:
    """The reward of each (prompt, answer), in order; higher is better, and only differences within one prompt mean anything.

    Answers longer than the model's `max_length` are scored on their beginning. Raises BaseMismatch on another base.
    """
    return scorer(adapter, model, batch_size=batch_size)(rows) if rows else []


def scorer(adapter: Path, model: ModelConfig, *, batch_size: int = 16) -> Rewards:
    """`score` with the model loaded once, for many calls."""
    policy = load_policy(model, adapter, task="reward")
    encode = encoder(policy.tokenizer)

    def ask(rows: Sequence[tuple[Prompt, str]]) -> list[float]:
        encoded = [encode(prompt.messages, text) for prompt, text in rows]
        cut = [Encoded(prompt=row.prompt, completion=row.completion[: max(1, model.max_length - len(row.prompt))])
               for row in encoded]
        return _rewards(policy.model, policy.tokenizer, cut, batch=batch_size)

    return ask


def _rewards(model: Any, tokenizer: Any, rows: Sequence[Encoded], *, batch: int) -> list[float]:
    """Rewards in the order of `rows`, computed in batches of like length."""
    import torch

    model.eval()
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    rewards = [0.0] * len(rows)
    for part in tracked([order[i:i + batch] for i in range(0, len(order), batch)], "rewards"):
        padded = tokenizer.pad({"input_ids": [rows[i].prompt + rows[i].completion for i in part]}, return_tensors="pt",
                               padding_side="right").to(model.device)
        with torch.inference_mode():
            found = model(**padded).logits[:, 0].float().tolist()
        for i, value in zip(part, found, strict=True):
            rewards[i] = value
    return rewards
