import pytest

from feedback.intervals import clopper_pearson_upper, wilson
from tests.benchmarks.coverage import Row, coverage, one_look, simulate


def test_what_gates_read_keeps_its_promise_and_daily_z_intervals_do_not() -> None:
    rows = simulate(400, seed=0)
    assert [row for row in rows if row.role == "gate" and not row.holds] == []
    assert not any(row.holds for row in rows if row.method == "z interval, looked at daily")


def test_coverage_is_summed_over_all_counts() -> None:
    # At n = 2 and rate 0.5 the upper bounds of 0, 1, 2 errors are 0.776, 0.975 and 1: all hold it.
    assert coverage(clopper_pearson_upper, rate=0.5, n=2) == pytest.approx(1)
    assert coverage(clopper_pearson_upper, rate=0.8, n=2) == pytest.approx(1 - 0.2 ** 2)


def test_an_interval_that_covers_too_little_fails_the_check() -> None:
    row = Row("gate", "wilson", "n=50", 0.95, coverage(wilson, rate=0.01, n=50), 0)
    assert not row.holds
    assert all(row.holds for row in one_look() if row.role == "gate")
