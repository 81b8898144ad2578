"""Ten simulated reviewers who save at once, from the same machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx

from tests.benchmarks.timing import Timed, percentiles, seconds
from tests.review_ui.appliance.desk import OPEN, Reviewer

PEOPLE, SAVES = 10, 20
PAGE = 5
"""Records that a reviewer is served at once where records are reserved."""


def waiting(reviewer: Reviewer, count: int) -> list[str]:
    """Ids of records that this person may review."""
    found = reviewer.call("POST", f"me/datasets/{reviewer.dataset.id}/records/search", params={"limit": count},
                          json={"filters": {"and": OPEN}})
    return [item["record"]["id"] for item in found["items"]]


def together(people: Sequence[Reviewer], records: Sequence[Sequence[str]]) -> tuple[Timed, float]:
    """Each saves an answer to each of their records; what a save took, and saves a second."""
    return _together(people, lambda person, place: [_save(person, record) for record in records[place]])


def queueing(people: Sequence[Reviewer]) -> tuple[Timed, float]:
    """Each asks for the next few records, saves them and asks again, so the rate counts the pages as well."""

    def work(person: Reviewer, _place: int) -> list[float]:
        return [_save(person, record) for _ in range(SAVES // PAGE) for record in waiting(person, PAGE)]

    return _together(people, work)


def _save(person: Reviewer, record: str) -> float:
    return seconds(lambda: person.answer(record))


def _together(people: Sequence[Reviewer], work: Callable[[Reviewer, int], list[float]]) -> tuple[Timed, float]:

    def one(place: int) -> list[float]:
        with httpx.Client(base_url=people[place].client.base_url, timeout=120) as client:
            return work(replace(people[place], client=client), place)

    started = time.perf_counter()
    with ThreadPoolExecutor(len(people)) as pool:
        taken = [second for seconds_of_one in pool.map(one, range(len(people))) for second in seconds_of_one]
    return percentiles(f"a save, {len(people)} people at once", taken, 250), len(taken) / (time.perf_counter() - started)
