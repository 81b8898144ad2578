"""The limits of reinforcement learning: what breaks them, with the arithmetic in sight."""

from __future__ import annotations

import math
import re

import pytest

from alignment.rl_limits import Figures, Limits, broken, mean, repetition, warnings

LIMITS = Limits(max_kl=8, max_disagreement=2, max_length_growth=2, max_repetition=0.2)
BEFORE = Figures(reward=0.0, spread=0.5, kl=0.0, length=20, repetition=0.1)


def judged(**changes: float) -> str | None:
    return broken(BEFORE.model_copy(update=changes), before=BEFORE, trained_spread=0.5, limits=LIMITS)


def test_within_every_limit_nothing_is_said() -> None:
    assert judged(kl=8.0, spread=1.0, length=40, repetition=0.3) is None
    assert judged(reward=-100.0, length=1, kl=-0.5) is None


@pytest.mark.parametrize(("changes", "told"), [
    ({"kl": 8.1}, r"8\.10 nats per answer; rl\.max_kl allows 8"),
    ({"spread": 1.05}, r"disagree by 1\.05 on the policy's own answers, 2\.10 times the 0\.5 .*; rl\.max_disagreement allows 2"),
    ({"length": 42.0}, r"42 tokens on average, 2\.10 times the 20 before; rl\.max_length_growth allows 2"),
    ({"repetition": 0.31}, r"31% of four-word sequences are repeated, 10% before; rl\.max_repetition allows 0\.2"),
    ({"kl": math.nan}, "nan nats"),
])
def test_each_limit_is_named_with_its_evidence(changes: dict[str, float], told: str) -> None:
    # Figures refuses a NaN from a file; a batch may still have one.
    now = BEFORE.model_construct(**(BEFORE.model_dump() | changes))
    found = broken(now, before=BEFORE, trained_spread=0.5, limits=LIMITS)
    assert found is not None
    assert re.search(told, found)


def test_a_single_reward_model_has_no_disagreement_to_judge_by() -> None:
    assert broken(BEFORE.model_copy(update={"spread": 9.0}), before=BEFORE, trained_spread=0.0, limits=LIMITS) is None


def test_half_of_the_way_is_a_warning() -> None:
    known = {"before": BEFORE, "trained_spread": 0.5, "limits": LIMITS}
    assert warnings(BEFORE, **known) == []
    (told,) = warnings(BEFORE.model_copy(update={"kl": 4.0}), **known)
    assert told == "the divergence from the reference is 4.00 nats per answer, 50% of the way to rl.max_kl"


def test_repetition_counts_four_word_sequences_that_came_before() -> None:
    # a b c d a b c d: five sequences, the last one is the first again.
    assert repetition("a b c d a b c d") == pytest.approx(1 / 5)
    assert repetition("it is so") == repetition("") == 0.0


def test_the_mean_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no figures"):
        mean([])
    assert mean([BEFORE, BEFORE.model_copy(update={"kl": 2.0})]).kl == 1.0
