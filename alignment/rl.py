"""Policy -> better policy by a reward model: RLOO or GRPO on the adapter, on the leash of its reference and of what the reward
ensemble can know."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alignment import rl_limits
from alignment.config import RlConfig
from alignment.curves.rewarded import Rewarded, report_rewarded
from alignment.estimating import judge_of
from alignment.pairs import read_pairs
from alignment.rl_limits import Figures
from alignment.rl_trainer import measured, reward_function, trainer_class, watch
from feedback.config import SplitConfig, Strict, validate
from feedback.errors import InvalidInput, NothingToDo, StageRefused
from feedback.ids import content_hash, unit_interval
from feedback.lineage import Draft, Manifest, read_manifest
from feedback.schemas import Prompt
from feedback.terminal import note
from feedback.training_sets.split import held_out_families
from sft.adapters import input_hash, parent_id, save_adapter
from sft.best_of import Judge
from sft.chat import encode_prompt
from sft.config import SamplingConfig
from sft.model import Base, load_base, set_threads
from sft.silence import quiet
from sft.trainer_args import Recipe, is_main_process, trainer_arguments, world_size
from sft.training import StageConfig, build, sets_hash, start_adapter, train, without_preparation, writing_together

RECIPES = {"rloo": Recipe(kind="RLOOConfig", learning_rate=1e-4, batch_size=64, epochs=1, fewest_steps=30, most_epochs=5),
           "grpo": Recipe(kind="GRPOConfig", learning_rate=1e-4, batch_size=64, epochs=1, fewest_steps=30, most_epochs=5)}
METRICS = "metrics.json"
ANSWERS_LOOKED_AT = 512
"""Of the answers that the reward model learned from, so many tell how much its members disagree on what they know."""


class RlStage(StageConfig):
    """Everything that decides an RL adapter, beside its prompts, its parent and its reward model."""

    rl: RlConfig = RlConfig()
    sampling: SamplingConfig = SamplingConfig()
    split: SplitConfig = SplitConfig()


class RlMetrics(Strict):
    """`metrics.json` of an RL stage."""

    algorithm: str
    prompts: int
    """Trained on."""
    steps: int
    """Made; the adapter is of `adapter_step`."""
    adapter_step: int
    reward_model: str
    """Its policy id."""
    trained_spread: float
    """Mean spread of the reward ensemble on answers that it learned from; 0 when it is a single model."""
    before: Figures
    """On the watched prompts, by the policy that training began with."""
    after: Figures
    """On the same prompts, by the adapter written."""
    stopped: str | None
    """Why training ended before its time; None when it did not."""
    warnings: tuple[str, ...]
    """What came near a limit, and what could not be watched."""


def run(config: RlStage, *, prompts: Sequence[Prompt], reward: Path, training_sets: Path, parent: Path | None,
        out: Path) -> Manifest:
    """Train the parent's adapter against the reward model in `reward`; write `out`/adapter, metrics.json and the report on its
    curves.

    `training_sets` are those that the reward model learned from: their answers say how much its members disagree on what they
    know. Held-out prompts are left out. Raises NothingToDo when no prompt is left, InvalidInput without a reward model,
    BaseMismatch when it is of another base, StageRefused when a reward is not a number or a limit is broken from the start.
    """
    refuse_settings(config)
    asked = trainable(prompts, config.split)
    judge = judge_of(reward, config.model)
    inputs = {"training_sets": sets_hash(training_sets), "reward": judge.source,
              "prompts": content_hash("prompts", sorted(prompt.id for prompt in asked))}
    inputs |= {"parent": input_hash(parent)} if parent else {}
    with writing_together(out, stage="rl", inputs=inputs, config=config) as draft:
        draft.threads = set_threads(config.model)
        base = load_base(config.model)
        model = start_adapter(base, parent, config.lora, seed=config.seed)
        draft.counts |= {"read": len(prompts), "held_out": len(prompts) - len(asked)}
        fitting = encoded(asked, base, config, draft.counts)
        trainer = _trainer(config, base, model, fitting, judge, {p.id: p for p in asked}, scratch=draft.scratch)
        metrics = _train(config, trainer, judge, draft, trained_spread=spread_on(training_sets, judge))
        if is_main_process():
            save_adapter(trainer.model, draft.folder / "adapter", base=base, parent=parent_id(parent), stage="rl",
                         training_sets=inputs["training_sets"])
            (draft.folder / METRICS).write_text(json.dumps(metrics.model_dump(), indent=1) + "\n", encoding="utf-8")
            report_rewarded(draft.folder, trainer.state.log_history, Rewarded(
                before=metrics.before, after=metrics.after, trained_spread=metrics.trained_spread, limits=config.rl,
                stopped=metrics.stopped, prompts=metrics.prompts))
    return read_manifest(out)


def refuse_settings(config: RlStage) -> None:
    """Raise InvalidInput for settings under which nothing could be learned."""
    if config.sampling.temperature == 0:
        raise InvalidInput("sampling.temperature is 0, so all answers to a prompt are the same and none is better; "
                           "set it above 0")
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true":
        raise InvalidInput("rl samples while it trains, which a policy in pieces cannot; launch it with "
                           "configs/accelerate/ddp.yaml, or in one process")


def trainable(prompts: Sequence[Prompt], split: SplitConfig) -> list[Prompt]:
    """The prompts that are not held out. Raises NothingToDo when none is left."""
    held_out = held_out_families(prompts, split)
    kept = [prompt for prompt in prompts if prompt.family not in held_out]
    if not kept:
        raise NothingToDo(f"none of the {len(prompts)} prompts may be trained on: all are held out or critical. "
                          "Give prompts of families that train")
    return kept


def encoded(prompts: Sequence[Prompt], base: Base, config: RlStage, counts: dict[str, int]) -> dict[str, list[int]]:
    """Prompt id -> tokens, for those that leave room for an answer; the others are dropped and counted."""
    room = config.model.max_length - config.sampling.max_new_tokens
    tokens = {prompt.id: encode_prompt(base.tokenizer, prompt.messages) for prompt in prompts}
    kept = {str(name): ids for name, ids in tokens.items() if len(ids) <= room}
    counts |= {"dropped_too_long": len(tokens) - len(kept), "trained": len(kept)}
    if not kept:
        raise NothingToDo(f"all {len(tokens)} prompts have more than {room} tokens, and an answer takes "
                          f"{config.sampling.max_new_tokens}; raise model.max_length, or lower sampling.max_new_tokens")
    return kept


def spread_on(training_sets: Path, judge: Judge) -> float:
    """The ensemble's mean spread on answers that it learned from."""
    rows = {(pair.prompt_id, text): pair for pair in read_pairs(training_sets) for text in (pair.chosen, pair.rejected)}
    some = sorted(rows, key=lambda key: unit_interval(f"spread:{key}"))[:ANSWERS_LOOKED_AT]
    found = judge.score([(Prompt.of(rows[key].messages), key[1]) for key in some])
    return sum(estimate.spread for estimate in found) / len(found)


def _trainer(config: RlStage, base: Base, model: Any, tokens: dict[str, list[int]], judge: Judge, prompts: dict[Any, Prompt], *,
             scratch: Path) -> Any:
    recipe = RECIPES[config.rl.algorithm]
    samples = config.rl.samples
    together = max(1, min(recipe.batch_size // samples, len(tokens) // world_size())) * samples
    given = {"per_device_train_batch_size": together, "disable_dropout": True} | config.rl.trainer
    given |= {"per_device_eval_batch_size": given["per_device_train_batch_size"], "beta": config.rl.beta,
              "num_generations": samples, "temperature": config.sampling.temperature,
              "max_completion_length": config.sampling.max_new_tokens}
    arguments = trainer_arguments(recipe, given, model=config.model, seed=config.seed, rows=len(tokens) * samples,
                                  scratch=scratch)
    order = in_order(sorted(tokens), arguments, samples=samples)
    # One long pass: TRL draws the order of a second one anew, and a resumed run would draw the first again.
    arguments.num_train_epochs, arguments.shuffle_dataset = 1, False
    with quiet():
        from datasets import Dataset

        dataset = Dataset.from_dict({"prompt": order})
    kind = without_preparation(trainer_class(config.rl.algorithm))
    kind.asked, kind.sampled = tokens, config.sampling  # type: ignore[attr-defined]
    return build(kind, model=model, reward_funcs=reward_function(judge, prompts), args=arguments, train_dataset=dataset,
                 processing_class=base.tokenizer)


def in_order(prompts: Sequence[str], arguments: Any, *, samples: int) -> list[str]:
    """The prompts of all steps, one pass after another, each in an order of its own that the seed decides."""
    per_step = arguments.generation_batch_size // samples
    wanted = arguments.max_steps * per_step if arguments.max_steps > 0 else round(arguments.num_train_epochs * len(prompts))
    steps = max(1, round(wanted / per_step))
    passes = [sorted(prompts, key=lambda name: unit_interval(f"{arguments.seed}:{number}:{name}"))
              for number in range(-(-steps * per_step // len(prompts)))]
    return [name for one in passes for name in one][:steps * per_step]


def _train(config: RlStage, trainer: Any, judge: Judge, draft: Draft, *, trained_spread: float) -> RlMetrics:
    watched = watched_prompts(trainer, config.rl.watched)
    before = measured(trainer, watched)
    known = {"before": before, "trained_spread": trained_spread, "limits": config.rl}
    if reason := rl_limits.broken(before, **known):
        raise StageRefused(f"before any training {reason}; the reward model does not know such answers. Review some of them and "
                           "train it again, or raise the limit")
    watching = watch(trainer, lambda now: rl_limits.broken(now, **known), before=before)
    trainer.add_callback(watching)
    steps = train(trainer, draft, title="RL").steps
    # The last update is seen by no step, so it is judged here.
    watching.reason = watching.reason or rl_limits.broken(after := measured(trainer, watched), **known)
    step = steps if watching.reason is None else watching.good_step
    if step == 0:
        raise StageRefused(f"RL went over a limit with its first step: {watching.reason}. Lower rl.trainer.learning_rate, "
                           "or raise rl.beta")
    if watching.reason is not None:
        watching.put_back()
        after = measured(trainer, watched)
    told = _warnings(after, **known)
    return RlMetrics(algorithm=config.rl.algorithm, prompts=draft.counts["trained"], steps=steps, adapter_step=step,
                     reward_model=judge.id, trained_spread=trained_spread, before=before, after=after, stopped=watching.reason,
                     warnings=tuple(told))


def watched_prompts(trainer: Any, count: int) -> Any:
    """The first so many prompts, as a dataset."""
    with quiet():
        from datasets import Dataset

        return Dataset.from_dict({"prompt": sorted(trainer.asked)[:count]})


def _warnings(after: Figures, **known: Any) -> list[str]:
    told = rl_limits.warnings(after, **known)
    if known["trained_spread"] == 0:
        told.append("the reward model is a single one, so nothing shows where it does not know; train an ensemble")
    if not after.reward > known["before"].reward:
        told.append(f"the reward did not rise: {known['before'].reward:.3f} before, {after.reward:.3f} after")
    for text in told:
        note(f"RL: {text}")
    return told


def read_metrics(out: Path) -> RlMetrics:
    """The metrics of a finished RL stage."""
    path = out / METRICS
    return validate(json.loads(path.read_text(encoding="utf-8")), RlMetrics, source=str(path))
