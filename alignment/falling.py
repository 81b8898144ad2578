"""Ends a preference run that goes wrong: once the preferred answers have become much less likely, it only learns what not to
say, and says something else instead (likelihood displacement, Razin et al. 2024).

The loss on pairs set apart does not show it: it keeps falling, since the rejected answers fall faster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from feedback.terminal import note
from sft.trainer_args import is_main_process

WINDOW = 5
"""Logged points whose mean is judged: one batch is noisy."""
LEAST = 1.0
"""Nats per answer: a fall below it is common and harmless, whatever share of a short answer's log-probability it is."""


@dataclass(frozen=True, slots=True)
class Fall:
    """How much less likely the preferred answers are than under the reference."""

    nats: float
    """Per answer; negative when they became more likely."""
    share: float
    """Of the size of the log-probability that the reference gives them."""

    def __str__(self) -> str:
        return f"{self.nats:.1f} nats per answer, {self.share:.0%} of the log-probability that the reference gives them"


def fall_of(rows: Sequence[Mapping[str, Any]], *, beta: float) -> Fall | None:
    """The mean fall over the last WINDOW rows that a DPO trainer logged; None before there are so many."""
    told = [row for row in rows if "rewards/chosen" in row and "logps/chosen" in row][-WINDOW:]
    if len(told) < WINDOW:
        return None
    ratio = fmean(row["rewards/chosen"] for row in told) / beta
    reference = fmean(row["logps/chosen"] for row in told) - ratio
    return Fall(nats=-ratio, share=-ratio / abs(reference) if reference else 0.0)


def is_too_far(fall: Fall, *, most: float) -> bool:
    """More than the share `most`, and more than what is harmless."""
    return fall.nats > LEAST and fall.share > most


def stopper(*, beta: float, most: float) -> Any:
    """A TrainerCallback that ends the run once the preferred answers have fallen by more than the share `most`.

    It reads the trainer's own history, which a checkpoint holds: a resumed run ends at the same step.
    """
    from transformers import TrainerCallback

    return type("Stopper", (_Stopper, TrainerCallback), {})(beta=beta, most=most)


class _Stopper:
    """The event of transformers' TrainerCallback that matters here."""

    def __init__(self, *, beta: float, most: float) -> None:
        self.beta = beta
        self.most = most

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Look at the newest points; say why when the run ends."""
        fall = fall_of(state.log_history, beta=self.beta)
        if control.should_training_stop or state.global_step >= state.max_steps or fall is None:
            return
        if is_too_far(fall, most=self.most):
            control.should_training_stop = True
            if is_main_process():
                note(f"DPO: stopped at step {state.global_step} of {state.max_steps}: the preferred answers fell by {fall}; "
                     f"dpo.max_fall allows {self.most:.0%}. A lower trainer.learning_rate or fewer epochs would get further")
