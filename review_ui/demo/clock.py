"""Where the demo's time goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alignment import steps
from feedback.lineage import MANIFEST, read_manifest

TRAINING = (steps.SFT, steps.DPO, steps.REWARD, steps.RL)
SAMPLING = (steps.SAMPLES, steps.CHAMPION_SAMPLES, f"{steps.QUEUE}_samples")


class Clock:
    """Wall seconds by part: `environment`, `model`, `reviewing` measured here, `training` and `sampling` read off the
    stages that this run finished, and `rest` for everything else."""

    def __init__(self, rounds: Path) -> None:
        self._started = time.monotonic()
        self._rounds = rounds
        self._finished_before = set(_finished(rounds))
        self._parts = {"environment": 0.0, "model": 0.0, "reviewing": 0.0}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the block's time as `name`."""
        started = time.monotonic()
        try:
            yield
        finally:
            self._parts[name] += time.monotonic() - started

    def wall_seconds(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self._started

    def split(self) -> dict[str, float]:
        """Seconds by part; they add up to the wall time."""
        made = [folder for folder in _finished(self._rounds) if folder not in self._finished_before]
        parts = dict(self._parts)
        for name, stages in (("training", TRAINING), ("sampling", SAMPLING)):
            parts[name] = sum(read_manifest(folder).seconds or 0.0 for folder in made if folder.name in stages)
        parts["rest"] = max(0.0, self.wall_seconds() - sum(parts.values()))
        return {name: round(seconds, 1) for name, seconds in parts.items()}


def _finished(rounds: Path) -> list[Path]:
    return [path.parent for path in rounds.glob(f"*/*/{MANIFEST}")]
