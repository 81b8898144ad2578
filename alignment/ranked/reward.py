"""The reward model over rankings: TRL's RewardTrainer with each completion scored once, all of a prompt in one forward."""

from __future__ import annotations

import functools
import types
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from accelerate.utils import is_peft_model
from trl import RewardConfig, RewardTrainer

from alignment.ranked.encoding import Encoding, together
from alignment.ranked.figures import added
from alignment.ranked.judged import Counts, Judged
from alignment.ranked.last_layer import read_only_at
from alignment.ranked.packing import Forest, batches_of_similar_length, last_place
from alignment.ranked.pairwise import sigmoid
from alignment.ranked.scoring import IMPLEMENTATION, packed_inputs, padded, register
from alignment.ranked.settings import AttentionPath, RowsConfig
from alignment.ranked.stepping import ForestSteps, collate, dataset_of
from alignment.ranked.support import choose
from alignment.ranked.tokens import read_rankings
from feedback.terminal import note
from feedback.training_sets.rows import RankedSet


class RankedRewardTrainer(ForestSteps, RewardTrainer):
    """Trains a sequence classifier of one output to score better answers higher; batches count rankings, not pairs."""

    _tag_names = ["trl", "reward-trainer", "redpen", "ranked"]
    section = "reward"

    def __init__(self, model: Any, args: RewardConfig, *, rankings: Sequence[RankedSet], processing_class: Any,
                 ranked: RowsConfig | None = None, eval_rankings: Sequence[RankedSet] | None = None,
                 encode: Encoding = together, **others: Any) -> None:
        """`encode` turns texts into tokens; `others` go to RewardTrainer."""
        self.ranked = ranked or RowsConfig()
        self._trees, self._sums, self._rewards = [], {}, []
        self._encode = encode
        self.reading, train = self._read(rankings, processing_class, args)
        evaluated = None if eval_rankings is None else self._read(eval_rankings, processing_class, args)[1]
        super().__init__(model=model, args=args, train_dataset=train, eval_dataset=evaluated, data_collator=collate,
                         processing_class=processing_class, **others)
        self._prepare_model()

    def _read(self, rankings: Sequence[RankedSet], tokenizer: Any, args: RewardConfig) -> tuple[Any, Any]:
        reading = read_rankings(rankings, tokenizer, max_length=args.max_length, whole=True, encode=self._encode)
        first = len(self._trees)
        self._trees += reading.trees
        return reading, dataset_of(reading.trees, first=first)

    def _prepare_model(self) -> None:
        plain = self.model.get_base_model() if is_peft_model(self.model) else self.model
        register()
        add_reward_places(plain)
        self._text_config = plain.config.get_text_config()
        choice = choose(self.model, self.ranked, device=self.accelerator.device, language=False)
        self.path = choice.path
        if choice.reason and self.accelerator.is_main_process:
            note(choice.reason)
        if (implementation := IMPLEMENTATION[self.path]) is not None:
            self._text_config._attn_implementation = implementation

    def row_loss(self, model: Any, forest: Forest, window: Counts, *, idle: bool) -> torch.Tensor:
        """As its base says."""
        device = self.accelerator.device
        by_branch = branch_rewards(model, forest, self.path, config=self._text_config, device=device,
                                   budget=self.ranked.token_budget)
        if idle:
            return by_branch.sum() * 0
        judged = Judged.of(forest, device)
        rewards = by_branch[torch.tensor(judged.branch, device=device)]
        loss = self._loss(rewards, judged, window)
        self.stop_unless_finite(loss, forest, rewards)
        self._remember(rewards.detach(), judged)
        if self.model.training:
            self._total_train_tokens += len(forest.input_ids)
        return loss

    def _loss(self, rewards: torch.Tensor, judged: Judged, window: Counts) -> torch.Tensor:
        better, worse = rewards[judged.better], rewards[judged.worse]
        p = judged.reversed if self.ranked.posterior else torch.zeros_like(judged.reversed)
        # The margin is asked of whichever answer is really the better one.
        right, reverse = better - worse - judged.margin, worse - better - judged.margin
        nothing = torch.zeros_like(p)
        losses = judged.weight * ((1 - p) * sigmoid(right, nothing) + p * sigmoid(reverse, nothing))
        if self.args.center_rewards_coefficient is not None:
            losses = losses + self.args.center_rewards_coefficient * (better + worse) ** 2
        if self.ranked.normalisation == "prompts":
            return (losses * judged.per_prompt).sum() / max(1, window.prompts)
        return losses.sum() / max(1, window.pairs)

    def _remember(self, rewards: torch.Tensor, judged: Judged) -> None:
        better, worse = rewards[judged.better], rewards[judged.worse]
        both, count = torch.cat([better, worse]), len(better)
        self._rewards.append(both)
        self._sums = added(self._sums, {"mean_reward": (both.sum().item(), 2 * count),
                                        "accuracy": ((better > worse).sum().item(), count),
                                        "margin": ((better - worse).sum().item(), count)})

    def _report(self, mode: str) -> None:
        seen = torch.cat(self._rewards)
        extremes = self.accelerator.gather(torch.stack([seen.min(), -seen.max()])[None])
        self._metrics[mode]["min_reward"].append(extremes[:, 0].min().item())
        self._metrics[mode]["max_reward"].append(-extremes[:, 1].min().item())
        self._rewards = []
        super()._report(mode)

    def evaluate(self, eval_dataset: Any = None, **others: Any) -> dict[str, float]:
        """As TRL's, and also of rankings that were not given at the start."""
        if isinstance(eval_dataset, Sequence) and not isinstance(eval_dataset, str):
            eval_dataset = self._read(eval_dataset, self.processing_class, self.args)[1]
        return dict(super().evaluate(eval_dataset=eval_dataset, **others))


def branch_rewards(model: Any, forest: Forest, path: AttentionPath, *, config: Any, device: torch.device,
                   budget: int) -> torch.Tensor:
    """The reward of each branch, float64."""
    pad = config.pad_token_id
    if path != "rows":
        whole = replace(forest, whole=True)
        ends = torch.tensor(whole.ends(pad), device=device)
        return model(**packed_inputs(whole, path, config=config, device=device), reward_places=(torch.zeros_like(ends), ends))
    sequences, parts = forest.sequences, []
    batches = batches_of_similar_length([len(ids) for ids in sequences], budget)
    for batch in batches:
        ids, seen = padded([sequences[i] for i in batch])
        ends = torch.tensor([last_place(sequences[i], pad) for i in batch], device=device)
        parts.append(model(input_ids=ids.to(device), attention_mask=seen.to(device),
                           reward_places=(torch.arange(len(batch), device=device), ends)))
    order = torch.tensor([i for batch in batches for i in batch], device=device)
    return torch.cat(parts)[order.argsort()]


def add_reward_places(model: Any) -> None:
    """Let `model(..., reward_places=(rows, columns))` return the rewards there. Without it the forward is the one it was."""
    original = model.forward

    @functools.wraps(type(model).forward)
    def forward(self: Any, *args: Any, reward_places: tuple[torch.Tensor, torch.Tensor] | None = None, **kwargs: Any) -> Any:
        if reward_places is None:
            return original(*args, **kwargs)
        rows, columns = reward_places
        with read_only_at(self, columns) if kwargs["input_ids"].shape[0] == 1 else nullcontext():
            hidden = self.base_model(*args, use_cache=False, **kwargs).last_hidden_state
        return self.score(hidden[rows, columns])[:, 0].double()

    model.forward = types.MethodType(forward, model)
