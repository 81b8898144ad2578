"""`redpen serve`: what it prints, how it ends, and what it refuses."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from feedback.errors import InvalidInput
from review_ui.console.server import ConsoleServer
from review_ui.project.init import create
from review_ui.project.serve import ServeOptions, serve


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return create(tmp_path / "desk").folder


@contextmanager
def served(project: Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """`serve` running as a child, with free ports and without rounds unless told otherwise."""
    given = {"folder": str(project), "console_port": 0, "rounds": False, **options}
    child = subprocess.Popen([sys.executable, "-m", "tests.review_ui.project.serving", json.dumps(given)], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order_with_exit_0(project: Path, number: signal.Signals) -> None:
    with served(project, as_json=True) as child:
        child.stdout.readline()
        child.send_signal(number)
        rest, errors = child.communicate(timeout=30)
    assert child.returncode == 0
    assert rest == ""
    assert "workspace taken down" in errors
    assert "Traceback" not in errors


def test_with_json_exactly_one_line_says_where_everything_is(project: Path) -> None:
    with served(project, as_json=True) as child:
        told = json.loads(child.stdout.readline())
        assert httpx.get(told["console_url"] + "/healthz").json()["status"] == "ok"
        child.terminate()
        rest, _ = child.communicate(timeout=30)
    assert set(told) == {"argilla_url", "console_url", "owner_file"}
    assert rest == ""


def test_where_texts_are_labelled_no_model_is_asked_for_answers(tmp_path: Path) -> None:
    with served(create(tmp_path / "desk", rubric="labels").folder, as_json=True, rounds=True) as child:
        child.stdout.readline()
        child.terminate()
        _, errors = child.communicate(timeout=30)
    assert "rounds: this form judges no answers" in errors
    assert not (tmp_path / "desk" / "logs" / "rounds.log").exists()


def test_the_first_password_is_shown_to_a_person(project: Path) -> None:
    with served(project) as child:
        lines = [child.stdout.readline() for _ in range(6)]
        child.terminate()
        child.communicate(timeout=30)
    assert any("first-password" in line for line in lines)
    assert lines[-1].strip() == "Stop with Ctrl-C."


def test_the_console_answers_no_more_after_the_end(project: Path) -> None:
    with ConsoleServer(project, host="127.0.0.1", port=0) as console:
        assert httpx.get(console.url).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(console.url)


def test_a_port_in_use_is_told_with_what_to_do(project: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput, match=rf"port {port} of 127.0.0.1 is in use; .*--console-port"):
            serve(ServeOptions(folder=project, console_port=port))


def test_an_address_of_another_machine_cannot_be_listened_on(project: Path) -> None:
    with pytest.raises(InvalidInput, match=r"192\.0\.2\.1 cannot be listened on"):
        ConsoleServer(project, host="192.0.2.1", port=0)


def test_a_mistake_in_a_file_is_told_before_anything_starts(project: Path) -> None:
    (project / "critical.jsonl").write_text('{"prompt": "May I?"}\n')
    with pytest.raises(InvalidInput, match="has no reference"):
        serve(ServeOptions(folder=project, console_port=0))
    assert not (project / "argilla").exists()


def test_without_a_port_the_console_takes_a_free_one(project: Path) -> None:
    with ConsoleServer(project, host="127.0.0.1", port=None) as one, ConsoleServer(project, host="127.0.0.1", port=None) as other:
        assert one.url != other.url
