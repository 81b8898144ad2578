"""What a run measures on the way, on rows of its choice: kept in the trainer's own history, so that a resumed run has it too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

MARK = "reading"
"""Key of a history row that holds a reading: a mapping of name -> one number per watched row."""
POINTS = 5
"""Readings over a run, beside the one before its first step."""

Measure = Callable[[bool], Mapping[str, Sequence[float]]]
"""Measures the model as it is now; with True everything that is watched, as at the beginning and at the end."""


def reader(measure: Measure) -> Any:
    """A TrainerCallback that reads before the first step, POINTS - 1 times on the way, and at the end."""
    from transformers import TrainerCallback

    return type("Reader", (_Reading, TrainerCallback), {})(measure)


def readings_of(rows: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, tuple[float, ...]]]:
    """Step -> what was read there, from a trainer's `log_history`."""
    return {int(row["step"]): {name: tuple(values) for name, values in row[MARK].items()} for row in rows if MARK in row}


class _Reading:
    """The events of transformers' TrainerCallback that matter here."""

    def __init__(self, measure: Measure) -> None:
        self.measure = measure

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The model before it learned anything; a resumed run has read that already."""
        if state.global_step == 0:
            self._read(state, whole=True)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """At even distances."""
        due = {round(part * state.max_steps / POINTS) for part in range(1, POINTS)}
        if state.global_step in due and state.global_step < state.max_steps:
            self._read(state, whole=False)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The model that will be saved."""
        self._read(state, whole=True)

    def _read(self, state: Any, *, whole: bool) -> None:
        if any(MARK in row and row["step"] == state.global_step for row in state.log_history):
            return
        found = {name: [round(float(value), 6) for value in values] for name, values in self.measure(whole).items()}
        if found:
            state.log_history.append({MARK: found, "step": state.global_step, "epoch": round(state.epoch or 0.0, 6)})
