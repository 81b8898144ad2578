"""Watched pairs, and how much better the model finds each chosen answer than the rejected one, at several steps of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from feedback.ids import FamilyId
from feedback.schemas import Message
from feedback.training_sets.rows import PreferencePair, RankedSet
from sft.curves.checks import WatchedLosses

APART, TRAINED = "apart", "trained"


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """One preference with its texts, from either kind of training row."""

    family: FamilyId
    topic: str | None
    origin: str
    criterion: str | None
    messages: tuple[Message, ...]
    chosen: str
    rejected: str


def judged_pairs(rows: Iterable[RankedSet | PreferencePair]) -> list[JudgedPair]:
    """Every preference of the rows, in their order."""
    return [made for row in rows for made in _in_row(row)]


def _in_row(row: RankedSet | PreferencePair) -> list[JudgedPair]:
    if isinstance(row, PreferencePair):
        return [JudgedPair(row.family, row.topic, row.origin, row.criterion, row.messages, row.chosen, row.rejected)]
    texts = row.completions
    return [JudgedPair(row.family, row.topic, pair.origin, pair.criterion, row.messages, texts[pair.better],
                       texts[pair.worse])
            for pair in row.pairs]


@dataclass(frozen=True, slots=True)
class WatchedPair:
    """What is known of a pair beside its texts."""

    family: FamilyId
    origin: str
    topic: str | None
    criterion: str | None
    chosen_tokens: int
    rejected_tokens: int
    apart: bool
    """It was not trained on."""

    @classmethod
    def of(cls, pair: JudgedPair, *, chosen_tokens: int, rejected_tokens: int, apart: bool) -> WatchedPair:
        """From a preference and the lengths of its answers."""
        return cls(pair.family, pair.origin, pair.topic, pair.criterion, chosen_tokens, rejected_tokens, apart)

    @property
    def longer_by(self) -> int:
        """Tokens by which the chosen answer is longer; negative when it is shorter."""
        return self.chosen_tokens - self.rejected_tokens


@dataclass(frozen=True, slots=True)
class Reading:
    """What the model says of some pairs at one step; one number for each of them.

    For DPO the log-ratio to the reference in nats, for a reward model the reward.
    """

    step: int
    chosen: tuple[float, ...]
    rejected: tuple[float, ...]

    @property
    def margins(self) -> tuple[float, ...]:
        """By how much each chosen answer is ahead."""
        return tuple(better - worse for better, worse in zip(self.chosen, self.rejected, strict=True))


@dataclass(frozen=True, slots=True)
class PairReadings:
    """The watched pairs and their readings, rising by step."""

    apart: tuple[WatchedPair, ...]
    trained: tuple[WatchedPair, ...]
    """A sample of those trained on."""
    of_apart: tuple[Reading, ...]
    of_trained: tuple[Reading, ...]
    """At the beginning and at the end alone."""
    scale: float
    """What a margin is multiplied by in the loss: beta for DPO, 1 for a reward model."""

    @classmethod
    def of(cls, apart: Sequence[WatchedPair], trained: Sequence[WatchedPair],
           rows: Mapping[int, Mapping[str, Sequence[float]]], *, scale: float) -> PairReadings:
        """From what a run wrote into its history: step -> `apart/chosen`, `apart/rejected`, `trained/...`."""
        def picked(group: str) -> tuple[Reading, ...]:
            return tuple(Reading(step, tuple(found[f"{group}/chosen"]), tuple(found[f"{group}/rejected"]))
                         for step, found in sorted(rows.items()) if f"{group}/chosen" in found)

        return cls(tuple(apart), tuple(trained), picked(APART), picked(TRAINED), scale)

    def at_end(self) -> list[tuple[WatchedPair, float, float]]:
        """(pair, chosen, rejected) of every watched pair at the last reading."""
        return [row for pairs, readings in ((self.apart, self.of_apart), (self.trained, self.of_trained)) if readings
                for row in zip(pairs, readings[-1].chosen, readings[-1].rejected, strict=True)]

    def watched_losses(self) -> WatchedLosses | None:
        """The sigmoid loss of the pairs set apart, by family; None without any."""
        if not self.apart or not self.of_apart:
            return None
        trained = self._losses(self.trained, self.of_trained[-1]) if self.of_trained else ()
        return WatchedLosses(tuple(reading.step for reading in self.of_apart),
                             tuple(self._losses(self.apart, reading) for reading in self.of_apart), trained)

    def _losses(self, pairs: Sequence[WatchedPair], reading: Reading) -> tuple[float, ...]:
        return tuple(by_family(pairs, map(self.loss, reading.margins)).values())

    def loss(self, margin: float) -> float:
        """-log sigmoid of a scaled margin."""
        return softplus(-self.scale * margin)


def softplus(value: float) -> float:
    """log(1 + e^value), for any value."""
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))


def by_family(pairs: Sequence[WatchedPair], values: Iterable[float]) -> dict[FamilyId, float]:
    """The mean of each family, sorted by name: pairs of one family are no independent observations."""
    found: dict[FamilyId, list[float]] = {}
    for pair, value in zip(pairs, values, strict=True):
        found.setdefault(pair.family, []).append(value)
    return {family: fmean(found[family]) for family in sorted(found)}


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over families."""

    value: float
    error: float
    """Standard error; 0 for a single family."""
    n: int

    @classmethod
    def of(cls, pairs: Sequence[WatchedPair], values: Iterable[float]) -> Mean:
        """Of one value for each pair; at least one."""
        families = list(by_family(pairs, values).values())
        spread = stdev(families) / math.sqrt(len(families)) if len(families) > 1 else 0.0
        return cls(fmean(families), spread, len(families))
