"""Configuration of the base model, its adapter, sampling and the SFT stage."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from feedback.config import Share, Strict
from sft.trainer_fields import checked


class ModelConfig(Strict):
    """The base model and how it is held."""

    base: str
    """A folder, a hub id, or `smollm2` for the packaged SmolLM2-135M-Instruct."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: bfloat16 on a GPU, float32 on a CPU."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    quantization: Literal["none", "4bit", "8bit"] = "none"
    """Holds the base in fewer bits (bitsandbytes, extra `qlora`)."""
    max_length: int = Field(default=1024, ge=16)
    """Tokens of prompt and completion together; longer rows are dropped and counted."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads of torch. Without it OMP_NUM_THREADS decides. Beside a busy server on few cores use 1."""
    trust_remote_code: bool = False


BORROWING = ("pissa", "olora")
"""Initialisations that move a part of the base's weights into the adapter."""


class LoraConfig(Strict):
    """The adapter that is trained; the base is never changed."""

    r: int = Field(default=16, ge=1)
    """Rank."""
    alpha: int = Field(default=32, ge=1)
    """Scale; the update is multiplied by alpha / r."""
    dropout: Share = 0.0
    target_modules: str | tuple[str, ...] = "all-linear"
    rslora: bool = False
    """Rank-stabilised: alpha / sqrt(r)."""
    dora: bool = False
    """Weight-decomposed."""
    init: Literal["default", "gaussian", "orthogonal", "eva", "pissa", "olora"] = "default"
    """How a fresh adapter starts; one that continues its parent starts where that ended. `eva` looks at the training rows.
    `pissa` and `olora` take their start out of the base's weights: what is written is an adapter of twice the rank on the base as
    it was, so that the next round can continue it."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.dora and self.init in BORROWING:
            raise ValueError(f"dora and init: {self.init} do not go together: {self.init} changes the base's weights, whose "
                             "lengths DoRA learns; use init: default, gaussian, orthogonal or eva")
        if self.init == "orthogonal" and self.r % 2:
            raise ValueError(f"init: orthogonal needs an even rank, r is {self.r}")
        return self


class SamplingConfig(Strict):
    """How answers are sampled."""

    completions: int = Field(default=6, ge=1)
    """Answers sampled for each prompt of the queue; the different ones among them are shown."""
    temperature: float = Field(default=1.0, ge=0)
    """0 takes the likeliest token each time; the audit samples at this temperature as well."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_new_tokens: int = Field(default=256, ge=1)
    batch_size: int = Field(default=32, ge=1)
    """Answers generated at once."""
    engine: Literal["auto", "transformers", "vllm"] = "auto"
    """`auto`: vLLM where it is installed and a GPU is there."""


class SftConfig(Strict):
    """The SFT stage."""

    enabled: bool = True
    replay_share: Share = 0.2
    """Share of rows taken from earlier rounds' training sets, against forgetting."""
    min_examples: int = Field(default=1, ge=1)
    """With fewer demonstrations the round skips the stage."""
    trainer: dict[str, Any] = {}
    """Any field of TRL's SFTConfig."""

    @field_validator("trainer")
    @classmethod
    def _fields_are_trls(cls, value: dict[str, Any]) -> dict[str, Any]:
        return checked("SFTConfig", value)
