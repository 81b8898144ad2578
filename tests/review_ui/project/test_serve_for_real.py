"""`redpen serve` with its own Argilla: an item reaches the reviewers' server, and nothing is left however it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from feedback.ids import PolicyId
from feedback.schemas import Completion, Decoding, Message, Prompt, Purpose, Queue, ReviewItem
from feedback.store.store import Store
from review_ui.project.init import create

pytestmark = pytest.mark.argilla


def queue_one_answer(project: Path) -> None:
    prompt = Prompt.of([Message(role="user", content="How long do I have to return something?")])
    answer = Completion.of(prompt_id=prompt.id, policy_id=PolicyId("base-0"), index=0, text="30 days.", decoding=Decoding())
    item = ReviewItem.of(queue=Queue.RATE, purpose=Purpose.TRAIN, round=0, prompt_id=prompt.id, completion_ids=[answer.id])
    with Store.open(project / "store.db") as store:
        store.add_prompts([prompt])
        store.add_completions([answer])
        store.add_items([item])


def processes_of(project: Path) -> list[str]:
    """Command lines of running processes that name the project."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(project) in line:
            found.append(line)
    return found


def until(true: Callable[[], bool], *, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = create(tmp_path / "desk").folder
    queue_one_answer(made)
    return made


@pytest.fixture
def child(project: Path) -> Iterator[subprocess.Popen[str]]:
    options = ["--dir", str(project), "--no-rounds", "--json", "--console-port", "0"]
    started = subprocess.Popen([sys.executable, "-m", "review_ui.cli", "serve", *options], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    yield started
    started.kill()
    started.communicate()
    until(lambda: not processes_of(project))


def pushed(project: Path) -> bool:
    with Store.open(project / "store.db") as store:
        return bool(store.pushed())


def test_everything_answers_an_item_is_pushed_and_a_signal_leaves_nothing(project: Path, child: subprocess.Popen[str]) -> None:
    told = json.loads(child.stdout.readline())
    assert httpx.get(told["argilla_url"] + "/api/v1/status").status_code == 200
    assert httpx.get(told["console_url"] + "/").status_code == 200
    assert Path(told["owner_file"]).stat().st_mode & 0o777 == 0o600
    until(lambda: pushed(project))
    child.send_signal(signal.SIGTERM)
    rest, errors = child.communicate(timeout=60)
    assert (child.returncode, rest) == (0, ""), errors
    assert processes_of(project) == []


def test_a_killed_serve_leaves_nothing_either(project: Path, child: subprocess.Popen[str]) -> None:
    json.loads(child.stdout.readline())
    child.kill()
    assert child.wait() == -signal.SIGKILL
    until(lambda: not processes_of(project))
