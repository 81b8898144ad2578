"""A finished reward ensemble: what its training found out about it, and the rewards that it gives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from feedback.config import Strict, validate
from feedback.ids import PromptId
from feedback.measures import Figure
from feedback.schemas import Prompt
from feedback.terminal import tracked
from sft.adapters import check_base, with_adapter
from sft.chat import Encoded, encoder
from sft.config import ModelConfig
from sft.model import load_base
from sft.silence import quiet

METRICS = "metrics.json"
FIRST = "adapter"
"""Folder of the first member; the others stand in `members/1`, `members/2`, ..."""


class MemberMetrics(Strict):
    """One member of the ensemble."""

    center: float
    """Its mean raw reward over the training answers: subtracted, since only differences of rewards mean anything."""
    scale: float
    """Standard deviation of its raw rewards over them: divided by, so that members speak in one unit."""
    train_accuracy: float
    """Share of all training pairs that it orders as people did, 0 to 1."""
    families_unseen: int
    """Prompt families that it was not trained on."""


class RewardMetrics(Strict):
    """`metrics.json` of a reward model."""

    pairs: int
    train_accuracy: float
    """Share of its own training pairs that the ensemble's mean orders as people did, 0 to 1. Chance is 0.5. It flatters."""
    held_out_accuracy: Figure
    """The same by each member on prompt families that it never saw, as a mean over families: what to expect on a new question
    of a single member. The audit's families are in neither."""
    disagreement: float | None
    """Mean over pairs of the members' standard deviation of the difference in reward, in standard deviations of reward; None
    for a single member."""
    split_pairs: float | None
    """Share of pairs that the members do not all order the same way; None for a single member."""
    caution: float
    """Standard deviations under the mean at which the lower bound lies."""
    members: tuple[MemberMetrics, ...]
    warning: str | None
    """Why its rewards should not be trusted; None when nothing speaks against it."""


def read_metrics(out: Path) -> RewardMetrics:
    """The metrics of a finished reward stage."""
    path = out / METRICS
    return validate(json.loads(path.read_text(encoding="utf-8")), RewardMetrics, source=str(path))


def member_folder(out: Path, member: int) -> Path:
    """Where a member's adapter is."""
    return out / FIRST if member == 0 else out / "members" / str(member)


@dataclass(frozen=True, slots=True)
class EnsembleScore:
    """What the members say about one answer, in standard deviations of reward over the training answers. Higher is better."""

    mean: float
    spread: float
    """Standard deviation over the members: how little they know here. 0 for a single member, which cannot disagree."""
    lower: float
    """mean - caution * spread: what to maximise without drifting to where the members only guess."""
    members: tuple[float, ...]


@dataclass(frozen=True)
class RewardEnsemble:
    """All members on one base in memory."""

    model: Any
    tokenizer: Any
    metrics: RewardMetrics
    max_length: int

    @classmethod
    def load(cls, out: Path, model: ModelConfig) -> RewardEnsemble:
        """From the folder of a finished reward stage. Raises BaseMismatch on another base."""
        metrics, base = read_metrics(out), load_base(model, task="reward")
        loaded = with_adapter(base, member_folder(out, 0), trainable=False)
        for member in range(1, len(metrics.members)):
            folder = member_folder(out, member)
            check_base(folder, name=base.name, found=base.hash)
            with quiet():
                loaded.load_adapter(str(folder), adapter_name=str(member), is_trainable=False)
        return cls(model=loaded.eval(), tokenizer=base.tokenizer, metrics=metrics, max_length=model.max_length)

    def score(self, rows: Sequence[tuple[Prompt, str]], *, caution: float | None = None, relative: bool = False,
              batch_size: int = 16) -> list[EnsembleScore]:
        """As `reward.score_ensemble`."""
        encode = encoder(self.tokenizer)
        encoded = [_cut(encode(prompt.messages, text), self.max_length) for prompt, text in rows]
        by_member = [self._of_member(place, encoded, batch_size) for place in range(len(self.metrics.members))]
        if relative:
            by_member = [_less_prompt_means(own, [prompt.id for prompt, _ in rows]) for own in by_member]
        weight = self.metrics.caution if caution is None else caution
        return [combined(values, caution=weight) for values in zip(*by_member, strict=True)]

    def _of_member(self, place: int, encoded: Sequence[Encoded], batch_size: int) -> list[float]:
        member = self.metrics.members[place]
        self.model.set_adapter("default" if place == 0 else str(place))
        raw = raw_rewards(self.model, self.tokenizer, encoded, batch=batch_size)
        return [(value - member.center) / member.scale for value in raw]


def combined(values: Sequence[float], *, caution: float) -> EnsembleScore:
    """The members' rewards of one answer as one score."""
    mean, spread = fmean(values), stdev(values) if len(values) > 1 else 0.0
    return EnsembleScore(mean=mean, spread=spread, lower=mean - caution * spread, members=tuple(values))


def _less_prompt_means(values: Sequence[float], prompts: Sequence[PromptId]) -> list[float]:
    groups: dict[PromptId, list[float]] = {}
    for prompt, value in zip(prompts, values, strict=True):
        groups.setdefault(prompt, []).append(value)
    means = {prompt: fmean(own) for prompt, own in groups.items()}
    return [value - means[prompt] for prompt, value in zip(prompts, values, strict=True)]


def _cut(row: Encoded, max_length: int) -> Encoded:
    return Encoded(prompt=row.prompt, completion=row.completion[: max(1, max_length - len(row.prompt))])


def raw_rewards(model: Any, tokenizer: Any, rows: Sequence[Encoded], *, batch: int, told: bool = True) -> list[float]:
    """What the model's active head says, in the order of `rows`, computed in batches of like length; with a progress bar
    if it is `told`."""
    import torch

    model.eval()
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    rewards = [0.0] * len(rows)
    parts = [order[i:i + batch] for i in range(0, len(order), batch)]
    for part in tracked(parts, "rewards") if told else parts:
        padded = tokenizer.pad({"input_ids": [rows[i].prompt + rows[i].completion for i in part]}, return_tensors="pt",
                               padding_side="right").to(model.device)
        with torch.inference_mode():
            found = model(**padded).logits[:, 0].float().tolist()
        for i, value in zip(part, found, strict=True):
            rewards[i] = value
    return rewards
