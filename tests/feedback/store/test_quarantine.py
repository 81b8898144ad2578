"""Quarantine is events: put in, taken back, never changed, and only for people who are there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from feedback.errors import InvalidInput
from feedback.store.quarantine import decide, quarantined
from feedback.store.snapshot import contents_now, read_snapshot, seal
from feedback.store.store import Store
from tests.feedback.reviewed import RUBRIC, Bench

NOW = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two reviewers, one answer."""
    bench = Bench()
    bench.rated("q", "a", by=["correct", "incorrect"])
    opened = Store.open(tmp_path / "store.db")
    bench.into(opened)
    return opened


def put(store: Store, named: str, *, lift: bool = False, reason: str = "one label throughout", days: int = 0) -> None:
    decide(store, named, lift=lift, actor="lead", reason=reason, at=NOW + timedelta(days=days))


def test_the_ratings_stay_in_the_snapshot_and_are_counted(store: Store, tmp_path: Path) -> None:
    put(store, "sim-0")
    made = seal(store, purpose=None, rounds=None, rubric=RUBRIC, out=tmp_path / "01")
    snapshot = read_snapshot(tmp_path / "01")
    assert (made.counts["ratings"], made.counts["ratings_in_quarantine"]) == (2, 1)
    row, = snapshot.quarantined
    assert (row.reviewer_id, row.reason, row.actor) == ("sim-0", "one label throughout", "lead")


def test_lifting_brings_back_the_very_snapshot_that_was_before(store: Store, tmp_path: Path) -> None:
    before = seal(store, purpose=None, rounds=None, rubric=RUBRIC, out=tmp_path / "01").hash
    put(store, "sim-0")
    during = seal(store, purpose=None, rounds=None, rubric=RUBRIC, out=tmp_path / "02").hash
    put(store, "sim-0", lift=True, reason="it was the form", days=1)
    after = seal(store, purpose=None, rounds=None, rubric=RUBRIC, out=tmp_path / "03").hash
    assert before == after != during
    assert len(store.events()) == 2


def test_at_an_earlier_moment_it_had_not_begun(store: Store) -> None:
    put(store, "sim-0", days=2)
    assert quarantined(store, until=NOW) == ()
    assert [row.reviewer_id for row in quarantined(store)] == ["sim-0"]
    assert [row.reviewer_id for row in contents_now(store, RUBRIC).quarantined] == ["sim-0"]


@pytest.mark.parametrize(("named", "lift", "reason", "match"), [
    ("sim-9", False, "r", "'sim-9' is no reviewer of this project; rated so far: sim-0, sim-1"),
    ("sim-1", True, "r", "sim-1 is not in quarantine"),
    ("sim-0", False, "r", "in quarantine already, since 2026-02-01 by lead"),
    ("sim-1", False, " ", "needs a reason"),
])
def test_what_cannot_be_is_refused_and_nothing_changes(store: Store, named: str, lift: bool, reason: str, match: str) -> None:
    put(store, "sim-0")
    with pytest.raises(InvalidInput, match=match):
        put(store, named, lift=lift, reason=reason)
    assert len(store.events()) == 1
