"""Preferences -> adapter: the DPO stage, continuing the SFT adapter against a frozen reference that is checked first."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alignment import dpo_pairs
from alignment.config import DpoConfig
from alignment.curves.apart import set_apart
from alignment.curves.watch import watch_policy
from alignment.falling import stopper
from alignment.pairs import read_pairs
from alignment.rankings import pairs_per_ranking, read_ranked_sets
from feedback.errors import StageRefused
from feedback.lineage import Draft, Manifest, read_manifest
from feedback.training_sets.rows import PreferencePair, RankedSet
from sft.adapters import check_base, input_hash, parent_id, read_policy, save_adapter
from sft.chat import encoder
from sft.lora_starts import ROWS_SEEN
from sft.model import Base, is_exact, load_base, set_threads
from sft.replay import Mixed, mixed
from sft.silence import quiet
from sft.trainer_args import Recipe, is_main_process, trainer_arguments
from sft.training import StageConfig, build, sets_hash, start_adapter, train, without_preparation, writing_together

RECIPE = Recipe(kind="DPOConfig", learning_rate=5e-5, batch_size=8, epochs=2, fewest_steps=30, most_epochs=5)
"""The batch is counted in pairs; the ranked engine takes as many rankings as hold about so many."""
TOLERANCE = 1e-3
"""How far from ln 2 the first loss may lie in float32: rounding of two forwards that are the same on paper."""
TOLERANCE_ROUNDED = 2e-2
"""The same for a base held in fewer bits."""
RECORD = "engine.json"
"""In the stage's logs: what the ranked engine did, as far as it depends on the machine and on what was computed before."""


class DpoStage(StageConfig):
    """Everything that decides a DPO adapter, beside its training sets, its parent and its reference."""

    dpo: DpoConfig = DpoConfig()


@dataclass(frozen=True)
class Start:
    """What training starts from."""

    base: Base
    model: Any
    parent: Path | None
    reference: Path | None
    """The adapter to stay close to; None for the parent itself."""


def run(config: DpoStage, *, training_sets: Path, parent: Path | None, reference: Path | None = None,
        replay: Sequence[Path] = (), out: Path) -> Manifest:
    """Train the parent's adapter on `training_sets`/rankings.jsonl (engine `trl`: pairs.jsonl) and write it to `out`/adapter.

    Rows of the earlier training sets `replay` make up `dpo.replay_share` of the whole. The reference is a frozen copy of the
    parent (without one, the base), or the adapter `reference`. Raises NothingToDo without a pair that fits, InvalidInput for
    rows that prefer nothing, StageRefused when the first loss shows a wrong reference or when training came to nothing.
    """
    ranked = config.dpo.engine == "ranked"
    mixture = rows_of(config.dpo, training_sets, replay, seed=config.seed)
    parted = set_apart(list(mixture.rows), share=config.dpo.watched_share)
    rows = parted.trained
    sets = sets_hash(training_sets)
    adapters = {name: path for name, path in (("parent", parent), ("reference", reference)) if path}
    inputs = {"training_sets": sets} | {f"replay_{i}": sets_hash(folder) for i, folder in enumerate(replay)}
    inputs |= {name: input_hash(path) for name, path in adapters.items()}
    with writing_together(out, stage="dpo", inputs=inputs, config=config) as draft:
        draft.threads = set_threads(config.model)
        base = load_base(config.model)
        model = start_adapter(base, parent, config.lora, seed=config.seed, rows=_seen(rows, base))
        start = Start(base=base, model=model, parent=parent, reference=reference)
        trainer = (_ranked_trainer if ranked else _stock_trainer)(config, start, rows, draft)
        if replay:
            draft.counts |= {name: mixture.counts[name] for name in ("replay_available", "replayed")}
        loss = first_loss(trainer, type(trainer).plain_loss if ranked else dpo_pairs.plain_loss, moved=reference is not None)
        refuse_wrong_reference(loss, tolerance=TOLERANCE if is_exact(config.model) else TOLERANCE_ROUNDED)
        watch = watch_policy(trainer, parted, tokenizer=base.tokenizer, max_length=config.model.max_length, beta=config.dpo.beta,
                             moved=reference is not None, start=None if reference else loss_at_reference(config.dpo))
        if config.dpo.max_fall is not None:
            trainer.add_callback(stopper(beta=config.dpo.beta, most=config.dpo.max_fall))
        trained = train(trainer, draft, title="DPO")
        if is_main_process():
            save_adapter(trainer.model, draft.folder / "adapter", base=base, parent=parent_id(parent), stage="dpo",
                         training_sets=sets, weights=trained.weights)
            watch.write(draft)
            if ranked:
                (draft.logs / RECORD).write_text(json.dumps(trainer.record(), indent=1) + "\n", encoding="utf-8")
    return read_manifest(out)


def rows_of(config: DpoConfig, training_sets: Path, replay: Sequence[Path], *, seed: int) -> Mixed[Any]:
    """The rankings (engine `trl`: pairs) of this round, with those of earlier ones that make up `replay_share`."""
    read: Callable[[Path], list[Any]] = read_ranked_sets if config.engine == "ranked" else read_pairs
    old = [row for folder in replay for row in read(folder)]
    return mixed(read(training_sets), old, share=config.replay_share, seed=seed, what="DPO")


def _seen(rows: Sequence[Any], base: Base) -> list[list[int]]:
    """Token ids of answers that an initialisation may look at: the first of each row."""
    encode = encoder(base.tokenizer)
    texts = [(row.messages, row.completions[0] if isinstance(row, RankedSet) else row.chosen) for row in rows[:ROWS_SEEN]]
    encoded = [encode(messages, text) for messages, text in texts]
    return [one.prompt + one.completion for one in encoded]


def _ranked_trainer(config: DpoStage, start: Start, rows: Sequence[RankedSet], draft: Draft) -> Any:
    given = {name: value for name, value in config.dpo.trainer.items() if name != "precompute_ref_log_probs"}
    recipe = replace(RECIPE, batch_size=max(1, round(RECIPE.batch_size / pairs_per_ranking(rows))))
    arguments = trainer_arguments(recipe, given | {"beta": config.dpo.beta}, model=config.model, seed=config.seed,
                                  rows=len(rows), scratch=draft.scratch)
    # Here answers are cut to it rather than dropped, each by itself and counted.
    arguments.max_length = config.model.max_length
    with quiet():
        from alignment.ranked.encoding import apart
        from alignment.ranked.trainer import RankedTrainer

    set_reference = None if start.reference is None else (
        lambda model: use_reference(model, start.reference, base=start.base))
    trainer = build(without_preparation(RankedTrainer), model=start.model, args=arguments, rankings=rows,
                    processing_class=start.base.tokenizer, ranked=config.dpo, encode=apart,
                    reference=reference_name(config, start), set_reference=set_reference)
    draft.counts |= trainer.reading.counts
    return trainer


def reference_name(config: DpoStage, start: Start) -> tuple[str, str]:
    """(base, reference adapter) as the cache of reference log-probabilities names them."""
    adapter = start.reference or start.parent
    held = "" if config.model.quantization == "none" else f" in {config.model.quantization}"
    return start.base.hash + held, str(read_policy(adapter).policy_id) if adapter else "none"


def _stock_trainer(config: DpoStage, start: Start, rows: Sequence[PreferencePair], draft: Draft) -> Any:
    trainer = dpo_pairs.trainer_of(rows, config.dpo, RECIPE, config.model, start.base, start.model, seed=config.seed,
                                   scratch=draft.scratch, counts=draft.counts)
    if start.reference:
        use_reference(start.model, start.reference, base=start.base)
    dpo_pairs.precompute_reference(trainer, config.dpo, config.model)
    return trainer


def use_reference(model: Any, reference: Path, *, base: Base) -> None:
    """Put another adapter of the same base in the place of the frozen copy."""
    import torch

    check_base(reference, name=base.name, found=base.hash)
    with quiet():
        model.delete_adapter("ref")
        model.load_adapter(str(reference), adapter_name="ref", is_trainable=False)
        model.set_adapter("default")
    for name, module in model.named_modules():
        # It came after TRL had switched dropout off: a reference that rolls dice is none.
        if isinstance(module, torch.nn.Dropout) and "ref" in name.split("."):
            module.p = 0.0


def first_loss(trainer: Any, plain_loss: Callable[[Any], float], *, moved: bool) -> float:
    """The sigmoid loss of the first rows before any training.

    A policy that equals its reference prefers nothing, whatever the rows: -log sigmoid(0) = ln 2. With `moved`, the policy
    has left its reference on purpose, and the reference takes its place for the check.
    """
    model = trainer.model
    try:
        model.set_adapter("ref" if moved else "default")
        with quiet():
            return plain_loss(trainer)
    finally:
        model.set_adapter("default")


def loss_at_reference(config: DpoConfig) -> float | None:
    """The training loss of a policy that equals its reference: ln 2 for `sigmoid` alone. None for losses that start elsewhere."""
    asked = config.losses if config.engine == "ranked" else config.trainer.get("loss_type", "sigmoid")
    return math.log(2) if asked in ("sigmoid", ["sigmoid"], ("sigmoid",)) else None


def refuse_wrong_reference(loss: float, *, tolerance: float) -> None:
    """Raise StageRefused unless the first loss is ln 2."""
    if not abs(loss - math.log(2)) <= tolerance:
        raise StageRefused(f"the first DPO loss is {loss:.6f}; a policy that equals its reference has ln 2 = {math.log(2):.6f}, "
                           f"within {tolerance:g}. The reference is not the policy that training starts from: train the parent "
                           "again, or name the right one")
