"""What a person may set about the ranked engine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from feedback.config import Strict

LossName = Literal["sigmoid", "ipo", "hinge", "robust", "f_dpo", "plackett_luce", "lipo_lambda", "sft"]
"""TRL's names where TRL has the loss."""
AttentionPath = Literal["split", "flex", "mask", "rows"]
"""How completions are kept blind to their siblings; see `RowsConfig.attention`."""


class RowsConfig(Strict):
    """What both ranked trainers, DPO and reward, can be told."""

    normalisation: Literal["pairs", "prompts"] = "pairs"
    """`pairs`: mean over the pairs of an optimiser step (TRL's). `prompts`: each ranking counts the same, 1/C(K,2) per pair."""
    posterior: bool = True
    """Train on the probability that a pair is the other way round; False takes pairs as recorded. Not for `robust`."""
    token_budget: int = Field(default=8192, ge=16)
    """Tokens sent through the model at once. Lower it when memory runs out: results stay the same."""
    attention: Literal["auto", "split", "flex", "mask", "rows"] = "auto"
    """`split` is the fast one on a CPU, `flex` on a GPU; `mask` needs memory quadratic in the row; `rows` runs each answer
    apart, for any model."""


class RankedConfig(RowsConfig):
    """The ranked preference engine: losses, normalisation and memory."""

    losses: tuple[LossName, ...] = Field(default=("sigmoid",), min_length=1)
    """Added up. `sigmoid` is DPO; `plackett_luce` and `lipo_lambda` read the whole ranking; `sft` trains on the best answer."""
    loss_weights: tuple[float, ...] | None = None
    """One factor for each loss; 1 without it."""
    noise_rate: float = Field(default=0.0, ge=0, le=0.4)
    """`robust` only: share of judgements recorded the wrong way round. Not the posterior of a pair: that one is in the data."""
    factuality_margin: float = Field(default=1.0, ge=0)
    """`f_dpo` only: log-ratio margin asked where only the rejected answer states something false; 0 swaps pairs and no more."""
    span_mask: bool = False
    """Where reviewers marked false spans: a better answer is not rewarded for them, a worse one is punished for them alone."""
    cache: Path | None = None
    """Folder of reference log-probabilities, shared between runs. Without one, the user's cache."""

    @model_validator(mode="after")
    def _losses_agree_with_the_rest(self) -> Self:
        if self.noise_rate and "robust" not in self.losses:
            raise ValueError(f"noise_rate is {self.noise_rate} and losses {list(self.losses)}; only `robust` reads it: "
                             "add that loss, or leave it to the posterior of each pair")
        if self.loss_weights is not None and len(self.loss_weights) != len(self.losses):
            raise ValueError(f"loss_weights has {len(self.loss_weights)} values for {len(self.losses)} losses; give one for each")
        if len(set(self.losses)) != len(self.losses):
            raise ValueError(f"losses {list(self.losses)} names one twice; use loss_weights to make it count more")
        return self

    @property
    def weighted(self) -> tuple[tuple[LossName, float], ...]:
        """Each loss with its factor."""
        return tuple(zip(self.losses, self.loss_weights or (1.0,) * len(self.losses), strict=True))
