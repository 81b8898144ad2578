"""A finished reward model, asked for its estimate of answers: loaded when it is first asked, once."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alignment import reward
from feedback.errors import InvalidInput
from feedback.schemas import Prompt
from sft.adapters import check_base, input_hash
from sft.best_of import Judge
from sft.config import ModelConfig
from sft.model import base_folder, base_hash


@dataclass(frozen=True)
class Single:
    """The estimate of a reward model without an ensemble: nobody disagrees."""

    mean: float
    spread: float = 0.0

    @property
    def lower(self) -> float:
        """The reward itself."""
        return self.mean


def judge_of(folder: Path, model: ModelConfig) -> Judge:
    """The reward model in `folder`, a reward stage's or its adapter's.

    Raises InvalidInput when there is none or it is no reward model, BaseMismatch when it belongs to another base than `model`.
    """
    adapter = folder / "adapter" if (folder / "adapter").is_dir() else folder
    if not (adapter / "policy.json").exists():
        raise InvalidInput(f"{folder}: no reward model in it; train one with `redpen align reward`, or name its folder")
    record = check_base(adapter, name=model.base, found=base_hash(base_folder(model.base)))
    if record.stage != "reward":
        raise InvalidInput(f"{folder}: its adapter comes from the stage {record.stage!r}, and only one of `redpen align reward` "
                           "scores answers")

    @functools.cache
    def loaded() -> reward.Rewards:
        return reward.scorer(adapter, model)

    def score(rows: Sequence[tuple[Prompt, str]]) -> list[Single]:
        return [Single(mean=value) for value in loaded()(rows)]

    return Judge(id=record.policy_id, source=input_hash(adapter), score=score)
