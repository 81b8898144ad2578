"""Small preference tasks on the tiny base, healthy or ill by construction, trained by the real stages."""

from __future__ import annotations

from pathlib import Path
from random import Random

from alignment import dpo
from alignment.config import DpoConfig
from feedback.training_sets.rows import PreferencePair
from sft import train
from sft.config import LoraConfig, SftConfig
from sft.curves.report import CurvesReport, read_report
from tests.rows import example, pair, training_sets
from tests.tiny import tiny_config

WORDS = ("lamp", "river", "stone", "cloud", "paper", "green", "bread", "horse", "night", "chair", "music", "glass", "table")
HEALTHY_RATE = 1e-3


def preferences(families: int = 110, *, noise: float = 0.15, longer: bool = False) -> list[PreferencePair]:
    """One pair for each family: what begins with yes is better, or with `longer` what is longer; some are reversed."""
    chance = Random(0)
    made = []
    for family in range(families):
        better, worse = _long_and_short(chance) if longer else (f"yes {_words(chance, 1, 2)}", f"no {_words(chance, 1, 2)}")
        if chance.random() < noise:
            better, worse = worse, better
        made.append(pair(f"question {family} {chance.choice(WORDS)}", better, worse))
    return made


def _long_and_short(chance: Random) -> tuple[str, str]:
    return _words(chance, 4, 6), _words(chance, 1, 2)


def _words(chance: Random, fewest: int, most: int) -> str:
    return " ".join(chance.sample(WORDS, chance.randint(fewest, most)))


def trained(folder: Path, base: Path, rows: list[PreferencePair], *, beta: float = 0.1, parent: Path | None = None,
            reference: Path | None = None, watched_share: float = 0.1, max_fall: float | None = None, **trainer: object) -> Path:
    """A finished DPO stage; nothing stops a disease on its way unless `max_fall` does."""
    settings = {"learning_rate": HEALTHY_RATE, "num_train_epochs": 2} | trainer
    stage = dpo.DpoStage(model=tiny_config(base), lora=LoraConfig(r=8),
                         dpo=DpoConfig(beta=beta, watched_share=watched_share, max_fall=max_fall, trainer=settings))
    dpo.run(stage, training_sets=training_sets(folder / "sets", pairs=rows), parent=parent, reference=reference,
            out=folder / "06_dpo")
    return folder / "06_dpo"


def demonstrated(folder: Path, base: Path, rows: list[PreferencePair]) -> Path:
    """An SFT adapter that says both answers of every pair."""
    shown = {(row.messages[0].content, text) for row in rows for text in (row.chosen, row.rejected)}
    sets = training_sets(folder / "sets", examples=[example(question, text) for question, text in sorted(shown)])
    stage = train.SftStage(model=tiny_config(base), lora=LoraConfig(r=8),
                           sft=SftConfig(trainer={"learning_rate": 1e-2, "max_steps": 40}))
    train.run(stage, training_sets=sets, out=folder / "05_sft")
    return folder / "05_sft" / "adapter"


def names(out: Path) -> list[str]:
    """The findings of a stage's report."""
    return [finding.name for finding in report(out).findings]


def report(out: Path) -> CurvesReport:
    """A stage's report."""
    return read_report(out)
