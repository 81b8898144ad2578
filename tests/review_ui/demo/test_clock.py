"""The demo's clock accounts for every second."""

from __future__ import annotations

from pathlib import Path

import pytest

from alignment import steps
from feedback.lineage import writing
from review_ui.demo.clock import Clock


def a_stage(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with writing(folder, stage="x", inputs={}, config={}) as draft:
        (draft.folder / "out").write_text("x")


def test_the_parts_add_up_to_the_wall_time(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    with clock.part("reviewing"):
        a_stage(tmp_path / "0000" / steps.SAMPLES)
    a_stage(tmp_path / "0001" / steps.SFT)
    split = clock.split()
    assert list(split) == ["environment", "model", "reviewing", "training", "sampling", "rest"]
    assert sum(split.values()) == pytest.approx(clock.wall_seconds(), abs=0.5)


def test_stages_that_an_earlier_run_finished_are_not_counted(tmp_path: Path) -> None:
    a_stage(tmp_path / "0001" / steps.SFT)
    manifest = tmp_path / "0001" / steps.SFT / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"seconds": ', '"seconds": 1000'))
    assert Clock(tmp_path).split()["training"] == 0
