"""Supervision: what fails is started again, later and later; what is stopped is gone with all it started."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from review_ui.project import worker
from review_ui.project.worker import Worker, last_line


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(worker, "GRACE_SECONDS", 0.5)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    made: list[Worker] = []

    def make_one(code: str, said: list[str] | None = None) -> Worker:
        made.append(Worker("redpen test", [sys.executable, "-c", code], log=tmp_path / "logs" / "test.log",
                           say=(said if said is not None else []).append))
        return made[-1]

    yield make_one
    for one in made:
        one.stop()


def until(true: Callable[[], bool], tended: Worker | None = None, *, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        if tended:
            tended.tend()
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_stopped_worker_takes_its_own_children_with_it(make: Callable[..., Worker]) -> None:
    tended = make("import subprocess, sys, time\n"
                  "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
                  "print(child.pid, flush=True)\ntime.sleep(60)")
    tended.tend()
    until(lambda: last_line(tended.log).isdigit())
    leader, child = tended.pid, int(last_line(tended.log))
    assert alive(child)
    tended.stop()
    assert leader is not None
    until(lambda: not alive(leader) and not alive(child))


def test_a_worker_that_does_not_listen_is_ended_all_the_same(make: Callable[..., Worker]) -> None:
    said: list[str] = []
    tended = make("import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                  "print('deaf', flush=True)\ntime.sleep(60)", said)
    tended.tend()
    until(lambda: last_line(tended.log) == "deaf")
    leader = tended.pid
    tended.stop()
    assert leader is not None
    assert not alive(leader)
    assert "did not end within" in said[0]


def test_a_worker_that_fails_says_why_and_is_started_again_later_each_time(make: Callable[..., Worker]) -> None:
    said: list[str] = []
    tended = make("import sys; sys.exit('prompts.jsonl:3: not JSON')", said)
    until(lambda: len(said) == 3, tended)
    assert "ended with 1: prompts.jsonl:3: not JSON" in said[0]
    assert tended.pause == pytest.approx(0.05 * 2**3)


def test_a_worker_that_is_done_is_not_started_again(make: Callable[..., Worker]) -> None:
    said: list[str] = []
    tended = make("print('once', flush=True)", said)
    until(lambda: bool(said), tended)
    for _ in range(3):
        tended.tend()
    assert tended.pid is None
    assert tended.log.read_text() == "once\n"


def test_a_worker_that_never_ran_can_be_stopped(make: Callable[..., Worker]) -> None:
    idle = make("pass")
    idle.stop()
    assert not idle.log.exists()


def test_the_last_line_of_a_log_that_says_nothing_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("\n \n")
    assert last_line(tmp_path / "log") == "it said nothing"
    assert last_line(tmp_path / "none") == "no log"


