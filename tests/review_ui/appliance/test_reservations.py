"""Reservations: who gets what, for how long, and what a clock that jumps does to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from review_ui.appliance.inside.reservations import FILE, Reservations, Room, Visit

NOW = 1_800_000_000.0
PAGE = [f"r{number}" for number in range(6)]


@pytest.fixture
def kept(tmp_path: Path) -> Reservations:
    return Reservations(tmp_path / FILE)


def visit(user: str, *, at: float = NOW, records: int = 2) -> Visit:
    return Visit("d", user, now=at, seconds=60, records=records)


def wanting(count: int, **submitted: Sequence[str]) -> Callable[[Sequence[str]], Mapping[str, Room]]:
    return lambda asked: {record: Room(count, frozenset(submitted.get(record, ()))) for record in asked}


def held(kept: Reservations, *, at: float = NOW) -> dict[str, set[str]]:
    return {record: set(users) for record, users in kept.holders(visit("nobody", at=at)).items()}


def test_the_first_records_of_a_page_are_reserved(kept: Reservations) -> None:
    assert kept.serve(visit("ana"), PAGE, wanting(1)) == set()
    assert held(kept) == {"r0": {"ana"}, "r1": {"ana"}}


def test_a_record_for_one_is_refused_to_the_second_and_one_for_two_is_not(kept: Reservations) -> None:
    kept.serve(visit("ana"), PAGE, wanting(1))
    assert kept.serve(visit("bo"), PAGE, wanting(1)) == {"r0", "r1"}
    assert kept.serve(visit("bo"), PAGE, wanting(2)) == set()
    assert kept.serve(visit("cem"), PAGE[:1], wanting(2)) == {"r0"}


def test_a_submitted_review_and_its_own_reservation_take_one_place(kept: Reservations) -> None:
    kept.serve(visit("ana"), PAGE[:1], wanting(2))
    assert kept.serve(visit("bo"), PAGE[:1], wanting(2, r0=["ana"])) == set()
    assert kept.serve(visit("bo"), PAGE[:1], wanting(2, r0=["cem"])) == {"r0"}


def test_who_is_done_with_one_gets_the_next_of_the_page(kept: Reservations) -> None:
    kept.serve(visit("ana"), PAGE, wanting(1))
    kept.done(visit("ana"), "r0", wanting(1))
    assert held(kept) == {"r1": {"ana"}, "r2": {"ana"}}


def test_the_next_one_is_passed_over_when_it_is_taken_meanwhile(kept: Reservations) -> None:
    kept.serve(visit("ana"), PAGE, wanting(1))
    kept.serve(visit("bo", records=1), ["r2"], wanting(1))
    kept.done(visit("ana"), "r0", wanting(1))
    assert held(kept) == {"r1": {"ana"}, "r2": {"bo"}, "r3": {"ana"}}


def test_a_reservation_ends_and_work_prolongs_it(kept: Reservations) -> None:
    kept.serve(visit("ana"), PAGE, wanting(1))
    kept.touch(visit("ana", at=NOW + 50), "r0", wanting(1))
    assert held(kept, at=NOW + 109) == {"r0": {"ana"}, "r1": {"ana"}}
    assert held(kept, at=NOW + 110) == {}
    assert kept.serve(visit("bo", at=NOW + 110), PAGE, wanting(1)) == set()


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps_strands_no_record(kept: Reservations, jump: float) -> None:
    kept.serve(visit("ana"), PAGE, wanting(1))
    assert held(kept, at=NOW + jump) == {}
    assert kept.serve(visit("bo", at=NOW + jump), PAGE, wanting(1)) == set()
    assert held(kept, at=NOW + jump) == {"r0": {"bo"}, "r1": {"bo"}}


def test_a_second_tab_leaves_the_first_ones_records_reserved_and_a_third_does_not(kept: Reservations) -> None:
    for tab, at in enumerate((NOW, NOW + 1, NOW + 2)):
        kept.serve(visit("ana", at=at), PAGE[2 * tab:2 * tab + 2], wanting(1))
        assert len(held(kept, at=at)) == min(2 * tab + 2, 4)
    assert set(held(kept, at=NOW + 2)) == {"r2", "r3", "r4", "r5"}


def test_a_released_record_is_free(kept: Reservations) -> None:
    kept.serve(visit("ana"), PAGE, wanting(1))
    kept.release(visit("ana"), "r0")
    assert held(kept) == {"r1": {"ana"}}


def test_a_record_that_is_not_routed_is_never_reserved(kept: Reservations) -> None:
    assert kept.serve(visit("ana"), PAGE, lambda _: {}) == set()
    assert held(kept) == {}


def test_ten_at_once_get_no_more_places_than_there_are(tmp_path: Path) -> None:
    def ask(number: int) -> int:
        # A file handle of its own, as another process has.
        return len(PAGE) - len(Reservations(tmp_path / FILE).serve(visit(f"u{number}", records=6), PAGE, wanting(2)))

    Reservations(tmp_path / FILE)
    with ThreadPoolExecutor(10) as pool:
        assert sorted(pool.map(ask, range(10))) == [0] * 8 + [6] * 2


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_bytes(b"not a database at all" * 500)
    kept = Reservations(path)
    kept.serve(visit("ana"), PAGE, wanting(1))
    assert held(kept) == {"r0": {"ana"}, "r1": {"ana"}}
