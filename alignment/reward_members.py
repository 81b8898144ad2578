"""One member of a reward ensemble: its seed, the families it never sees, its weights of the others, and its training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from alignment.config import RewardConfig
from alignment.pairs import encode_pairs
from alignment.rankings import pairs_per_ranking
from feedback.errors import StageRefused
from feedback.ids import FamilyId, content_hash
from feedback.lineage import Draft
from feedback.training_sets.rows import PreferencePair, RankedSet
from sft.config import ModelConfig
from sft.model import Base, load_base
from sft.silence import quiet
from sft.trainer_args import Recipe, trainer_arguments
from sft.training import build, without_preparation

RECIPE = Recipe(kind="RewardConfig", learning_rate=5e-4, batch_size=8, epochs=2, fewest_steps=30, most_epochs=6)
"""The batch is counted in pairs; the ranked engine takes as many rankings as hold about so many."""
HEAD = "score"
"""Name of the layer that turns the last token's state into the reward."""
FEWEST_FAMILIES = 10
"""With fewer prompt families none is held out: what is left would be too little to learn from and to measure on."""

Row = TypeVar("Row", RankedSet, PreferencePair)


class MemberDraft(Draft):
    """A member's part of the stage's folder: a scratch of its own, and logs that are kept."""

    def __init__(self, whole: Draft, member: int) -> None:
        folder = whole.scratch / f"member_{member}"
        folder.mkdir(exist_ok=True)
        super().__init__(folder, resumed=whole.resumed)
        self._logs = whole.logs if member == 0 else whole.logs / f"member_{member}"

    @property
    def logs(self) -> Path:
        """The first member's curve is the stage's."""
        self._logs.mkdir(exist_ok=True)
        return self._logs


@dataclass(frozen=True)
class Member:
    """Which member, and what makes it differ from the others."""

    number: int
    seed: int
    unseen: frozenset[FamilyId]


def members_of(config: RewardConfig, families: Iterable[FamilyId], *, seed: int) -> list[Member]:
    """The ensemble's members; the first has the stage's own seed."""
    ordered = sorted(set(families), key=lambda family: content_hash("reward", [seed, family]))
    count = round(config.held_out * len(ordered)) if len(ordered) >= FEWEST_FAMILIES else 0
    return [Member(number=number, seed=seed if number == 0 else Random(f"{seed}:{number}").randrange(2**31),
                   unseen=frozenset(ordered[place % len(ordered)] for place in range(number * count, (number + 1) * count)))
            for number in range(config.ensemble)]


def rows_of(member: Member, rows: Sequence[Row], *, alone: bool) -> list[Row]:
    """The rows that the member learns from. Rankings get a weight for each family, from the Bayesian bootstrap (Rubin 1981):
    another mixture of the same families for each member, with none lost. A member that is `alone` takes them as they are."""
    kept = [row for row in rows if row.family not in member.unseen]
    return kept if alone else [_weighted(row, member) for row in kept]


def _weighted(row: Row, member: Member) -> Row:
    if isinstance(row, PreferencePair):
        # TRL's trainer knows no weights: seeds, orders and families held out make its members differ.
        return row
    weight = Random(f"{member.seed}:{row.family}").expovariate(1.0) + 1e-6
    pairs = tuple(pair.model_copy(update={"weight": pair.weight * weight}) for pair in row.pairs)
    return row.model_copy(update={"pairs": pairs})


def seeded_base(model: ModelConfig, member: Member) -> Base:
    """The base with a fresh head, the same for the same seed."""
    import torch

    torch.manual_seed(member.seed)
    return load_base(model, task="reward")


Make = Callable[..., Any]


def ranked_trainer(rows: Sequence[RankedSet], config: RewardConfig, held: ModelConfig, base: Base, model: Any, *, seed: int,
                   scratch: Path, counts: dict[str, int]) -> Any:
    """Redpen's trainer, which scores each answer once."""
    recipe = replace(RECIPE, batch_size=max(1, round(RECIPE.batch_size / pairs_per_ranking(rows))))
    arguments = trainer_arguments(recipe, config.trainer, model=held, seed=seed, rows=len(rows), scratch=scratch)
    # Here an answer that does not fit is left out by itself and counted.
    arguments.max_length = held.max_length
    with quiet():
        from alignment.ranked.encoding import apart
        from alignment.ranked.reward import RankedRewardTrainer

    trainer = build(without_preparation(RankedRewardTrainer), model=model, args=arguments, rankings=rows,
                    processing_class=base.tokenizer, ranked=config, encode=apart)
    counts |= trainer.reading.counts
    return trainer


def stock_trainer(rows: Sequence[PreferencePair], config: RewardConfig, held: ModelConfig, base: Base, model: Any, *, seed: int,
                  scratch: Path, counts: dict[str, int]) -> Any:
    """TRL's own trainer on pairs."""
    encoded = encode_pairs(rows, base.tokenizer, max_length=held.max_length, counts=counts)
    arguments = trainer_arguments(RECIPE, config.trainer, model=held, seed=seed, rows=len(encoded), scratch=scratch)
    with quiet():
        from datasets import Dataset
        from trl import RewardTrainer

        dataset = Dataset.from_dict({"chosen_ids": [row.chosen.prompt + row.chosen.completion for row in encoded],
                                     "rejected_ids": [row.rejected.prompt + row.rejected.completion for row in encoded],
                                     "margin": [row.margin for row in encoded]})
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
