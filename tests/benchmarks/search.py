"""Random searches against the plain-Python model of their meaning, for as long as is asked.

    python -m tests.benchmarks.search --datasets 5 --records 80 --examples 2000 --json

The same searches as tests/review_ui/appliance/test_search_differential.py, over more records and with seeds of their own.
Exit 1 with the smallest search on which the engine and the model differ. What it prints: how many searches agreed, and
how many of them found something.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from feedback.terminal import note, print_json
from review_ui.appliance.appliance import Appliance
from tests.review_ui.appliance.conftest import owner_of
from tests.review_ui.appliance.search_cases import Both, bodies, door, populated


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.search")
    for name, default in (("--datasets", 3), ("--records", 80), ("--examples", 1000), ("--seed", 1)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "argilla"
        with Appliance(home) as running, httpx.Client(base_url=running.url, timeout=120) as client:
            desk = owner_of(running, client)
            for number in range(options.datasets):
                dataset, rows, people = populated(desk, seed=options.seed + number, count=options.records)
                users = [None, *(person.call("GET", "me")["id"] for person in people)]
                with door(home, dataset) as opened:
                    compare(Both(opened, rows, users), counts, examples=options.examples, chance=options.seed + number)
                note(f"dataset {number + 1}: {counts['searches']} searches agree")
    result = {"datasets": options.datasets, "records": options.records, **counts,
              "seconds": round(time.perf_counter() - begun, 1)}
    if options.json:
        print_json(result)
    else:
        note(str(result))
    return 0


def compare(both: Both, counts: Counter[str], *, examples: int, chance: int) -> None:
    """Raise AssertionError with the smallest search that differs."""

    @seed(chance)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck),
              phases=[Phase.generate, Phase.shrink])
    @given(data=st.data())
    def agree(data: st.DataObject) -> None:
        body = data.draw(bodies(both.rows))
        found = both.agree(body, user=data.draw(st.sampled_from(both.users)), size=data.draw(st.sampled_from((7, 20))))
        counts["searches"] += 1
        counts["found something"] += found > 0
        counts["found everything"] += found == len(both.rows)

    agree()


if __name__ == "__main__":
    sys.exit(main())
