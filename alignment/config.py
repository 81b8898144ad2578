"""Configuration of the alignment stages, the audit and the gates; and of the whole project."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from alignment.ranked.settings import RankedConfig, RowsConfig
from alignment.rl_limits import Limits
from feedback.config import CurationConfig, DeskConfig, QueueConfig, SetsConfig, Share, SplitConfig, Strict, read_yaml
from sft.config import LoraConfig, ModelConfig, SamplingConfig, SftConfig
from sft.trainer_fields import checked

Engine = Literal["ranked", "trl"]
"""`ranked`: rankings.jsonl through Redpen's packed trainers, each answer computed once; `trl`: pairs.jsonl through TRL's own."""


class DpoConfig(RankedConfig):
    """The DPO stage. All but the last few settings are the ranked engine's; TRL's own are set under `trainer`."""

    enabled: bool = True
    engine: Engine = "ranked"
    """`ranked` computes each answer once, whatever it is compared with, and weighs every pair by its posterior; `trl` runs stock
    TRL on the expanded pairs, each counted as certain."""
    beta: float = Field(default=0.1, gt=0)
    """How closely the policy stays to its reference; higher is closer."""
    reference: Literal["round", "initial"] = "round"
    """`round`: the SFT policy of the same round; `initial`: the first SFT policy through all rounds."""
    min_pairs: int = Field(default=1, ge=1)
    """With fewer pairs the round skips the stage."""
    max_fall: float | None = Field(default=0.5, gt=0)
    """Training stops when the preferred answers' log-probability has fallen below the reference's by more than this share of it,
    and by more than a nat per answer. None: never."""
    watched_share: float = Field(default=0.1, ge=0, lt=0.5)
    """Share of training families that are watched, not trained on, to see overfitting; none with fewer than 100 families."""
    replay_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of rows taken from earlier rounds' training sets, against forgetting what they taught."""
    trainer: dict[str, Any] = {}
    """Any field of TRL's DPOConfig. With `engine: ranked` a batch counts rankings, not pairs."""

    @field_validator("trainer")
    @classmethod
    def _fields_are_trls(cls, value: dict[str, Any]) -> dict[str, Any]:
        return checked("DPOConfig", value)

    @model_validator(mode="after")
    def _settings_belong_to_the_engine(self) -> Self:
        _refuse_unused(self, RankedConfig, "set `trainer.loss_type` and what goes with it instead")
        return self


class RewardConfig(RowsConfig):
    """The reward-model stage: an ensemble whose members' mean is the reward and whose disagreement is its doubt."""

    enabled: bool = True
    engine: Engine = "ranked"
    """As `dpo.engine`."""
    ensemble: int = Field(default=3, ge=1, le=16)
    """Members: each an adapter and a head of its own on the one base, from its own seed, order and weights of the families.
    Training and scoring cost so many times as much."""
    held_out: float = Field(default=0.2, ge=0, le=0.5)
    """Share of prompt families that each member never sees, others for each member: accuracy is measured there. 0: not at all."""
    caution: float = Field(default=1.0, ge=0)
    """Standard deviations of the members that the lower bound of a reward lies under their mean."""
    min_pairs: int = Field(default=8, ge=2)
    """With fewer pairs the round skips the stage."""
    trainer: dict[str, Any] = {}
    """Any field of TRL's RewardConfig. With `engine: ranked` a batch counts rankings, not pairs."""

    @field_validator("trainer")
    @classmethod
    def _fields_are_trls(cls, value: dict[str, Any]) -> dict[str, Any]:
        return checked("RewardConfig", value)

    @model_validator(mode="after")
    def _settings_belong_to_the_engine(self) -> Self:
        _refuse_unused(self, RowsConfig, "TRL's trainer has nothing like it")
        return self


def _refuse_unused(config: DpoConfig | RewardConfig, engine: type[RowsConfig], instead: str) -> None:
    """Raise ValueError for settings of the ranked engine beside `engine: trl`: nothing is ignored silently."""
    changed = [name for name, field in engine.model_fields.items() if getattr(config, name) != field.default]
    if config.engine == "trl" and changed:
        raise ValueError(f"{', '.join(changed)} can only be set with engine: ranked, and engine is trl; {instead}")


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
