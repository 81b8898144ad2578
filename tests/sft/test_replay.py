"""Replay makes up the share that is set, tells when it cannot, and never takes a row twice."""

from __future__ import annotations

import pytest

from sft.replay import mixed
from tests.rows import pair

NEW = [pair(f"new{i}", "yes", "no") for i in range(30)]
OLD = [pair(f"old{i}", "yes", "no") for i in range(40)]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5])
def test_the_share_of_all_rows_is_the_one_that_is_set(share):
    made = mixed(NEW, OLD, share=share, seed=0, what="DPO")
    assert made.share == pytest.approx(share, abs=0.02)
    assert made.rows[:30] == tuple(NEW)
    assert made.counts == {"read": 30, "replay_available": 40, "replayed": len(made.rows) - 30}


def test_too_few_old_rows_come_to_less_and_it_is_told(capsys):
    # 30 new rows are half of 60; there are 10 old ones: 10 of 40 are a quarter.
    made = mixed(NEW, OLD[:10], share=0.5, seed=0, what="DPO")
    assert made.share == 0.25
    assert "DPO: 10 of 40 rows come from earlier rounds, 25%; asked for were 50%" in capsys.readouterr().err


def test_a_row_of_this_round_is_not_replayed_and_another_seed_takes_others():
    assert mixed(NEW, NEW, share=0.5, seed=0, what="DPO").counts["replay_available"] == 0
    first, second = (mixed(NEW, OLD, share=0.2, seed=seed, what="DPO").rows for seed in (0, 1))
    assert first != second
    assert mixed(NEW, OLD[::-1], share=0.2, seed=0, what="DPO").rows == first
