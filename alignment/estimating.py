"""A finished reward model, asked for its estimate of answers: loaded when it is first asked, once."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from alignment.ensemble import FIRST, METRICS, EnsembleScore, RewardEnsemble
from feedback.errors import InvalidInput
from feedback.schemas import Prompt
from sft.adapters import check_base, input_hash
from sft.best_of import Judge
from sft.config import ModelConfig
from sft.model import base_folder, base_hash


def judge_of(folder: Path, model: ModelConfig, *, among: bool = False) -> Judge:
    """The reward ensemble in `folder`, a reward stage's or its first adapter's.

    With `among`, an answer is judged among the others to its prompt that are handed over with it, so that the spread is
    about the answers and not about the prompt: to choose one of them.

    Raises InvalidInput when there is none or it is no reward model, BaseMismatch when it belongs to another base than `model`.
    """
    stage = folder if (folder / FIRST).is_dir() else folder.parent
    if not (stage / FIRST / "policy.json").exists():
        raise InvalidInput(f"{folder}: no reward model in it; train one with `redpen align reward`, or name its folder")
    record = check_base(stage / FIRST, name=model.base, found=base_hash(base_folder(model.base)))
    if record.stage != "reward" or not (stage / METRICS).exists():
        raise InvalidInput(f"{folder}: its adapter comes from the stage {record.stage!r}, and only one of `redpen align reward` "
                           "scores answers")

    @functools.cache
    def loaded() -> RewardEnsemble:
        return RewardEnsemble.load(stage, model)

    def score(rows: Sequence[tuple[Prompt, str]]) -> list[EnsembleScore]:
        return loaded().score(rows, relative=among)

    return Judge(id=record.policy_id, source=input_hash(stage / FIRST), score=score)
