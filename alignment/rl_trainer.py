"""TRL's RLOO and GRPO trainers, with Redpen's tokens and sampling, and a watch that ends the run at a limit."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from alignment.rl_limits import WINDOW, Figures, mean, repetition
from feedback.errors import StageRefused
from feedback.schemas import Prompt
from feedback.terminal import note
from sft import decode
from sft.adapters import adapter_weights
from sft.best_of import Judge
from sft.chat import stop_ids
from sft.config import SamplingConfig
from sft.silence import quiet

Algorithm = Literal["rloo", "grpo"]
GOOD, GOOD_STEP = "good.safetensors", "good.json"
"""Beside a checkpoint: the newest adapter that was measured and kept every limit, and its step."""


def trainer_class(algorithm: Algorithm) -> type:
    """TRL's trainer of that name, asking Redpen's sampler. Its `asked` and `sampling` are set on the class made here."""
    with quiet():
        from trl import GRPOTrainer, RLOOTrainer

    base = RLOOTrainer if algorithm == "rloo" else GRPOTrainer
    return type(base.__name__, (_Sampling, base), {"returns_logps": algorithm == "grpo"})


class _Sampling:
    """Answers come from `sft.decode`: each prompt is read once, and chance depends on seed, step and row alone, so that a killed
    run draws what it would have drawn."""

    returns_logps: bool
    asked: Mapping[str, list[int]]
    """Prompt id -> the tokens that the model reads before it answers."""
    sampled: SamplingConfig

    def _tokenize_prompts(self: Any, prompts: Sequence[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return [self.asked[prompt] for prompt in prompts], None, {}

    def _generate_single_turn(self: Any, prompt_ids: Sequence[list[int]], *others: Any) -> Any:
        if self.use_vllm:
            return super()._generate_single_turn(prompt_ids, *others)
        model = self.accelerator.unwrap_model(self.model)
        was_training = self.model.training
        model.eval()
        try:
            found = self._answers(model, prompt_ids, training=was_training)
        finally:
            model.train(was_training)
        return (found, None) if self.returns_logps else found

    def _answers(self: Any, model: Any, prompt_ids: Sequence[list[int]], *, training: bool) -> list[list[int]]:
        import torch

        groups = in_groups(prompt_ids, self.num_generations if training else self.num_generations_eval)
        # The watched prompts meet the same chance before and after, so that only the policy differs.
        when = str(self.state.global_step) if training else "watched"
        where = f"{when}:{self.accelerator.process_index}"
        noise = [decode.chances(self.args.seed, f"{where}:{number}:{_name(ids)}", count=copies, length=self.max_completion_length)
                 for number, (ids, copies) in enumerate(groups)]
        stop = stop_ids(self.processing_class, model)
        rows = decode.answer(model, [ids for ids, _ in groups], chances_R_N=torch.cat(noise), sampling=self.sampled, stop=stop,
                             pad=self.processing_class.pad_token_id)
        return [row.ids + ([row.ended_by] if row.ended_by is not None else []) for row in rows]


def in_groups(prompt_ids: Sequence[list[int]], size: int) -> list[tuple[list[int], int]]:
    """The prompts with how often each is answered: `size` times where that is how they come, else each row alone."""
    parts = [prompt_ids[start:start + size] for start in range(0, len(prompt_ids), size)]
    if all(len(part) == size and all(ids == part[0] for ids in part) for part in parts):
        return [(list(part[0]), size) for part in parts]
    return [(list(ids), 1) for ids in prompt_ids]


def _name(ids: Sequence[int]) -> str:
    return hashlib.sha256(json.dumps(list(ids)).encode()).hexdigest()[:16]


def reward_function(judge: Judge, prompts: Mapping[str, Prompt]) -> Callable[..., list[float]]:
    """What TRL calls for the reward of each answer: the lower bound of the judge's estimate.

    It raises StageRefused on a reward that is not a number: TRL would take it for one that does not apply, and go on.
    """

    def lower_bound(prompts_: Sequence[str], completions: Sequence[str], log_metric: Callable[[str, float], None]) -> list[float]:
        rows = [(prompts[prompt], text.strip()) for prompt, text in zip(prompts_, completions, strict=True)]
        found = judge.score(rows)
        for (prompt, text), estimate in zip(rows, found, strict=True):
            if not (math.isfinite(estimate.lower) and math.isfinite(estimate.spread)):
                raise StageRefused(f"the reward model {judge.id} gives {estimate.lower} to {text[:40]!r}, an answer to prompt "
                                   f"{prompt.id}; train it again with a lower reward.trainer.learning_rate")
        log_metric("spread", sum(estimate.spread for estimate in found) / len(found))
        log_metric("repetition", sum(repetition(text) for _, text in rows) / len(rows))
        return [estimate.lower for estimate in found]

    def called(*, prompts: Sequence[str], completions: Sequence[str], log_metric: Callable[[str, float], None],
               **_: Any) -> list[float]:
        return lower_bound(prompts, completions, log_metric)

    called.__name__ = "lower_bound"
    return called


def figures_of(metrics: Mapping[str, Sequence[float]]) -> Figures:
    """The newest batch in a trainer's metrics, which are those of all processes together."""
    length = metrics["completions/mean_length"][-1]
    return Figures(reward=metrics["rewards/lower_bound/mean"][-1], spread=metrics["spread"][-1], kl=metrics["kl"][-1] * length,
                   length=length, repetition=metrics["repetition"][-1])


def measured(trainer: Any, rows: Any) -> Figures:
    """What the policy as it is now answers to `rows`, a dataset of prompts, and how that is judged."""
    with quiet():
        found = trainer.evaluate(eval_dataset=rows)
    length = found["eval_completions/mean_length"]
    return Figures(reward=found["eval_rewards/lower_bound/mean"], spread=found["eval_spread"], kl=found["eval_kl"] * length,
                   length=length, repetition=found["eval_repetition"])


def watch(trainer: Any, judged: Callable[[Figures], str | None], *, before: Figures) -> Any:
    """A TrainerCallback that ends training when `judged` names a reason; `put_back` restores the last step that gave none."""
    from transformers import TrainerCallback

    return type("Watch", (_Watch, TrainerCallback), {})(trainer=trainer, judged=judged, before=before)


class _Watch:
    """The figures of a step are those of the weights it began with: answers are sampled before the update."""

    def __init__(self, *, trainer: Any, judged: Callable[[Figures], str | None], before: Figures) -> None:
        self.trainer = trainer
        self.judged = judged
        self.reason: str | None = None
        self.recent = [before]
        self.good: dict[str, Any] = {}
        self.good_step = 0
        self.begun_with: dict[str, Any] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin with the weights there are, or with what the checkpoint says was good."""
        self.good, self.good_step = adapter_weights(self.trainer.model), state.global_step
        beside = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if (beside / GOOD).exists():
            from safetensors.torch import load_file

            kept = json.loads((beside / GOOD_STEP).read_text(encoding="utf-8"))
            self.good, self.good_step = load_file(beside / GOOD), kept["step"]
            self.recent = [Figures.model_validate(row) for row in kept["recent"]]

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Keep the weights that the step's answers come from."""
        self.begun_with = adapter_weights(self.trainer.model)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Judge the mean of the last steps, and the divergence of the newest; a reason ends the run."""
        self.recent = [*self.recent, figures_of(self.trainer._metrics["train"])][-WINDOW:]
        # The divergence only grows: its mean would lag behind the bound.
        self.reason = self.judged(mean(self.recent).model_copy(update={"kl": self.recent[-1].kl}))
        if self.reason is None:
            self.good, self.good_step = self.begun_with, state.global_step - 1
        else:
            control.should_training_stop = True

    def put_back(self) -> None:
        """The last good weights into the policy."""
        from peft import set_peft_model_state_dict

        note(f"RL: stopped, {self.reason}. The adapter is that of step {self.good_step}")
        policy = self.trainer.accelerator.unwrap_model(self.trainer.model)
        with quiet():
            set_peft_model_state_dict(policy, self.good, adapter_name="default")

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write what was good beside the checkpoint, so that a resumed run knows it."""
        from safetensors.torch import save_file

        if state.is_world_process_zero:
            beside = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            save_file(self.good, beside / GOOD)
            kept = {"step": self.good_step, "recent": [row.model_dump() for row in self.recent]}
            (beside / GOOD_STEP).write_text(json.dumps(kept), encoding="utf-8")
