"""What a training run tells while it runs: progress, its curve, checkpoints by the clock, and an end when the loss breaks."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from feedback.errors import StageRefused

COMPLETE = "complete"
"""Written into a checkpoint when all of it is there: a kill may leave half of one."""
SECONDS_BETWEEN_CHECKPOINTS = 30.0


def watcher(*, curve: Path, advance: Callable[[int], None], seconds: float | None, writes: bool) -> Any:
    """A TrainerCallback that does the above; `seconds` between checkpoints, None when steps decide. Only one process writes."""
    from transformers import TrainerCallback

    return type("Watcher", (_Watching, TrainerCallback), {})(curve=curve, advance=advance, seconds=seconds, writes=writes)


def last_checkpoint(scratch: Path) -> Path | None:
    """The newest whole checkpoint in a stage's scratch."""
    whole = [path.parent for path in scratch.glob(f"checkpoint-*/{COMPLETE}")]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


class _Watching:
    """The events of transformers' TrainerCallback that matter here."""

    def __init__(self, *, curve: Path, advance: Callable[[int], None], seconds: float | None, writes: bool) -> None:
        self.curve = curve
        self.advance = advance
        self.seconds = seconds
        self.writes = writes
        self.written = 0
        self.saved = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Go on where the checkpoint was: what was logged after it will be logged again."""
        self.saved = time.monotonic()
        self.advance(state.global_step)
        self.written = len(state.log_history)
        if self.writes:
            self.curve.write_text("".join(_line(row) for row in state.log_history), encoding="utf-8")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Count the step, and ask for a checkpoint when it is time."""
        self.advance(1)
        if self.seconds is not None and time.monotonic() - self.saved > self.seconds and state.global_step < state.max_steps:
            control.should_save = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any], **_: Any) -> None:
        """Add to the curve; refuse to go on with a loss that is not a number."""
        for name in ("loss", "grad_norm"):
            if not math.isfinite(float(logs.get(name, 0.0))):
                raise StageRefused(f"step {state.global_step}: {name} is {logs[name]}; training on would write a broken adapter. "
                                   "Lower trainer.learning_rate, or hold the model in float32")
        self._tell(state)

    def _tell(self, state: Any) -> None:
        # Not only the newest row: other callbacks add rows of their own.
        new, self.written = state.log_history[self.written:], len(state.log_history)
        if self.writes and new:
            with self.curve.open("a", encoding="utf-8") as file:
                file.write("".join(map(_line, new)))

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Add what others told last."""
        self._tell(state)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Mark the checkpoint as whole."""
        self.saved = time.monotonic()
        if self.writes:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps({name: round(value, 6) if isinstance(value, float) else value for name, value in row.items()}) + "\n"
