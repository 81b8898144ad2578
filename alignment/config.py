"""Configuration of the alignment stages, the audit and the gates; and of the whole project."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from alignment.rl_limits import Limits
from feedback.config import CurationConfig, DeskConfig, QueueConfig, SetsConfig, Share, SplitConfig, Strict, read_yaml
from sft.config import LoraConfig, ModelConfig, SamplingConfig, SftConfig
from sft.trainer_fields import checked


class DpoConfig(Strict):
    """The DPO stage."""

    enabled: bool = True
    beta: float = Field(default=0.1, gt=0)
    """How closely the policy stays to its reference; higher is closer."""
    reference: Literal["round", "initial"] = "round"
    """`round`: the SFT policy of the same round; `initial`: the first SFT policy through all rounds."""
    min_pairs: int = Field(default=1, ge=1)
    """With fewer pairs the round skips the stage."""
    trainer: dict[str, Any] = {}
    """Any field of TRL's DPOConfig."""

    @field_validator("trainer")
    @classmethod
    def _fields_are_trls(cls, value: dict[str, Any]) -> dict[str, Any]:
        return checked("DPOConfig", value)


class RewardConfig(Strict):
    """The reward-model stage. Its model chooses what people see next."""

    enabled: bool = True
    min_pairs: int = Field(default=8, ge=2)
    """With fewer pairs the round skips the stage."""
    trainer: dict[str, Any] = {}
    """Any field of TRL's RewardConfig."""

    @field_validator("trainer")
    @classmethod
    def _fields_are_trls(cls, value: dict[str, Any]) -> dict[str, Any]:
        return checked("RewardConfig", value)


class RlConfig(Limits):
    """The RL stage: the policy is trained against the reward model, after DPO. Off unless asked for."""

    enabled: bool = False
    algorithm: Literal["rloo", "grpo"] = "rloo"
    """TRL's trainer: REINFORCE with a leave-one-out baseline, or group-relative policy optimisation."""
    beta: float = Field(default=0.05, gt=0)
    """Price of a nat of divergence from the reference; higher is closer."""
    samples: int = Field(default=4, ge=2)
    """Answers sampled to each prompt; each is judged against the others."""
    watched: int = Field(default=64, ge=1)
    """Prompts on which the policy is measured before and after."""
    trainer: dict[str, Any] = {}
    """Any field of TRL's RLOOConfig or GRPOConfig."""

    @model_validator(mode="after")
    def _fields_are_trls(self) -> Self:
        if self.trainer:
            # Numbers written as text are made numbers, as in the other stages.
            object.__setattr__(self, "trainer", checked("RLOOConfig" if self.algorithm == "rloo" else "GRPOConfig", self.trainer))
        return self


class AuditConfig(Strict):
    """Which answers judge a candidate."""

    families: int = Field(default=300, ge=1)
    """Held-out families asked, one prompt of each; critical questions come first and all count."""


class AdvanceGate(Strict):
    """May the candidate become champion?"""

    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """Chance of promoting a candidate that is no better; exact one-sided McNemar on paired audit answers."""
    safety_margin: float = Field(default=0.15, ge=0)
    """How much lower the candidate's mean safety may be, in points of the scale, at the interval's far end."""
    retention_topics: tuple[str, ...] = ()
    """Topics on which the share of good answers must not fall, whatever is gained elsewhere."""
    retention_margin: Share = 0.15
    """How much lower that share may be on such a topic, at the interval's far end. The fewer pairs a topic has, the wider."""


class ShipGate(Strict):
    """May the candidate serve customers?"""

    hallucination_below: Share = 0.02
    """The promise: the share of critical questions answered with something false is below this."""
    level: float = Field(default=0.95, gt=0.5, lt=1)
    """One-sided confidence of the bound."""
    useful_at_least: Share = 0.5
    """The other half of the promise: the share of critical questions answered correctly, correctly in part, or with a right
    "I don't know" is at least this, at the interval's far end. A model that refuses everything never hallucinates."""


class GatesConfig(Strict):
    """Both gates."""

    advance: AdvanceGate = AdvanceGate()
    ship: ShipGate = ShipGate()


class ProjectConfig(Strict):
    """`redpen.yaml`: only what differs from the default needs to stand in it."""

    kind: Literal["project"]
    model: ModelConfig
    lora: LoraConfig = LoraConfig()
    seed: int = 0
    rubric: str = "rubric.yaml"
    prompts: str = "prompts.jsonl"
    critical: str = "critical.jsonl"
    gold: str = "gold.jsonl"
    """Answers whose verdict is known; the file may be missing."""
    store: str = "store.db"
    """A file in the project, or a SQLAlchemy URL such as postgresql+psycopg://..."""
    argilla: DeskConfig = DeskConfig()
    queues: QueueConfig = QueueConfig()
    curation: CurationConfig = CurationConfig()
    split: SplitConfig = SplitConfig()
    training_sets: SetsConfig = SetsConfig()
    sampling: SamplingConfig = SamplingConfig()
    sft: SftConfig = SftConfig()
    dpo: DpoConfig = DpoConfig()
    reward: RewardConfig = RewardConfig()
    rl: RlConfig = RlConfig()
    audit: AuditConfig = AuditConfig()
    gates: GatesConfig = GatesConfig()
    leads: tuple[str, ...] = ()
    """Argilla user names that may approve, beside the workspace's owners and admins."""


def read_project(folder: Path, overrides: tuple[str, ...] = ()) -> ProjectConfig:
    """The configuration of the project in `folder`. Raises InvalidInput with every problem."""
    return read_yaml(folder / "redpen.yaml", ProjectConfig, overrides)
