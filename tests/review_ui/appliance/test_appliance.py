"""Starting, stopping and being killed. Each test has a home of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from feedback.config import PasswordPolicy
from feedback.errors import InvalidInput, Locked, RedpenError
from review_ui.appliance.appliance import Appliance, Running
from review_ui.appliance.supervisor import LOG_BYTES, rotate
from tests.review_ui.appliance.desk import Desk, terms

pytestmark = pytest.mark.argilla

STARTER = """
import sys, time
from pathlib import Path
from review_ui.appliance.appliance import Appliance
running = Appliance(Path(sys.argv[1])).start()
print(running.url, flush=True)
time.sleep(600)
"""


def processes(home: Path) -> dict[int, str]:
    """Every process that was started for this home."""
    found = {}
    for folder in Path("/proc").iterdir():
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
        except (OSError, ValueError):
            continue
        if folder.name.isdigit() and int(folder.name) != os.getpid() and str(home) in command:
            found[int(folder.name)] = command
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)


def state(home: Path) -> dict[str, dict[str, int]]:
    return dict(json.loads((home / "run" / "state.json").read_text(encoding="utf-8")))


def sign_in(running: Running, username: str, password: str) -> int:
    return httpx.post(f"{running.url}/api/v1/token", data={"username": username, "password": password}, timeout=60).status_code


def test_the_first_owner_has_a_random_password_in_a_private_file(running: Running) -> None:
    owner = json.loads(running.owner_file.read_text(encoding="utf-8"))
    assert stat.S_IMODE(running.owner_file.stat().st_mode) == 0o600
    assert sorted(owner) == ["api_key", "password", "url", "username"]
    assert (owner["url"], owner["api_key"]) == (running.url, running.api_key)
    assert sign_in(running, owner["username"], owner["password"]) == 201


@pytest.mark.parametrize(("username", "password"), [("argilla", "12345678"), ("owner", "12345678"), ("owner", "")])
def test_no_stock_credentials_are_let_in(running: Running, username: str, password: str) -> None:
    assert sign_in(running, username, password) in {401, 422}
    answer = httpx.get(f"{running.url}/api/v1/me", headers={"X-Argilla-Api-Key": "argilla.apikey"})
    assert answer.status_code == 401


def test_other_origins_are_not_allowed_to_read(running: Running) -> None:
    answer = httpx.get(f"{running.url}/api/v1/version", headers={"Origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_nothing_in_the_home_is_open_to_others(running: Running) -> None:
    home = running.owner_file.parent
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert [path for path in home.iterdir() if path.is_file() and path.name != "lock" and path.stat().st_mode & 0o077] == []


def test_a_second_start_keeps_users_keys_and_logins(tmp_path: Path) -> None:
    home = tmp_path / "argilla"
    with Appliance(home) as first:
        owner = json.loads(first.owner_file.read_text(encoding="utf-8"))
        token = httpx.post(f"{first.url}/api/v1/token", data=owner, timeout=60).json()["access_token"]
        httpx.post(f"{first.url}/api/v1/workspaces", json={"name": "kept"}, headers={"X-Argilla-Api-Key": first.api_key})
    assert processes(home) == {}
    with Appliance(home) as again:
        # The same port, so that a bookmark still leads here; the same secret, so that nobody is signed out.
        assert again == first
        mine = httpx.get(f"{again.url}/api/v1/me/workspaces", headers={"Authorization": f"Bearer {token}"}).json()
        assert [workspace["name"] for workspace in mine["items"]] == ["kept"]


def test_two_appliances_do_not_share_a_home(running: Running) -> None:
    home = running.owner_file.parent
    before = processes(home)
    with pytest.raises(Locked, match=f"is in use by process {os.getpid()}, which serves it at {running.url}"):
        Appliance(home).start()
    assert processes(home) == before


def test_a_stopped_appliance_leaves_no_process_and_no_running_files(tmp_path: Path) -> None:
    home = tmp_path / "argilla"
    appliance = Appliance(home)
    appliance.start()
    assert len(processes(home)) >= 3
    appliance.stop()
    appliance.stop()
    assert processes(home) == {}
    assert not (home / "run").exists()


def test_a_port_that_is_taken_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"port {port} on 127.0.0.1 cannot be used"):
            Appliance(tmp_path / "argilla", port=port).start()
    assert processes(tmp_path) == {}


def test_others_reach_the_server_only_with_a_flag_and_rules_for_passwords(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"say so with --allow-network; set rules for passwords in redpen\.yaml"):
        Appliance(tmp_path, host="0.0.0.0")
    with pytest.raises(InvalidInput, match="To open it: set rules for passwords"):
        Appliance(tmp_path, host="0.0.0.0", allow_network=True)
    with pytest.raises(InvalidInput, match="To open it: say so with --allow-network"):
        Appliance(tmp_path, host="0.0.0.0", passwords=PasswordPolicy())
    assert Appliance(tmp_path, host="0.0.0.0", allow_network=True, passwords=PasswordPolicy()).host == "0.0.0.0"


def test_a_log_that_has_grown_is_kept_and_emptied_while_it_is_written(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with log.open("ab") as writer:
        for size in (3, 2, 1):
            writer.write(b"x" * (LOG_BYTES + size))
            writer.flush()
            rotate(log)
        writer.write(b"after")
    assert log.read_bytes() == b"after"
    assert [path.stat().st_size - LOG_BYTES for path in sorted(tmp_path.glob("server.log.*"))] == [1, 2, 3]


def test_a_database_of_a_newer_server_is_left_as_it_is(tmp_path: Path) -> None:
    home = tmp_path / "argilla"
    home.mkdir()
    with closing(sqlite3.connect(home / "argilla.db")) as database, database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('ffffffffffff')")
    before = (home / "argilla.db").read_bytes()
    with pytest.raises(RedpenError, match=r"(?s)was last used by a newer Argilla server \(its migration ffffffffffff is unknown"):
        Appliance(home).start()
    assert (home / "argilla.db").read_bytes() == before


def test_a_killed_starter_leaves_nothing_running_and_nothing_in_the_way(tmp_path: Path) -> None:
    # So long that Valkey's socket has to live elsewhere.
    home = tmp_path / ("a-folder-with-a-long-name-" * 3) / "argilla"
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(home)], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    with starter.stdout:
        url = starter.stdout.readline().strip()
    assert httpx.get(f"{url}/api/v1/version").status_code == 200
    starter.kill()
    starter.wait()
    wait_until(lambda: processes(home) == {})
    with Appliance(home) as again:
        assert again.url == url


def test_a_dead_child_is_started_again(tmp_path: Path) -> None:
    home = tmp_path / "argilla"
    with Appliance(home) as running:
        before = state(home)
        for name in ("server", "valkey"):
            os.kill(before[name]["pid"], signal.SIGKILL)
        # Nobody is refused meanwhile: the supervisor keeps the socket.
        assert httpx.get(f"{running.url}/api/v1/status", timeout=120).status_code == 200
        wait_until(lambda: state(home)["valkey"]["starts"] == 2)
        after = state(home)
        assert (after["server"]["starts"], after["server"]["last_exit"]) == (2, -signal.SIGKILL)


def test_a_status_that_a_killed_server_did_not_write_is_written_at_the_next_start(tmp_path: Path) -> None:
    home = tmp_path / "argilla"
    with Appliance(home) as running, httpx.Client(base_url=running.url, timeout=60) as client:
        desk = Desk(client, {"X-Argilla-Api-Key": running.api_key})
        dataset = desk.dataset()
        for record in desk.add(dataset, [{"external_id": name, "fields": {"prompt": name}} for name in ("r0", "r1")])[:1]:
            desk.reviewer(dataset).answer(record)
    with sqlite3.connect(home / "argilla.db") as connection:
        connection.execute("UPDATE records SET status = CASE status WHEN 'pending' THEN 'completed' ELSE 'pending' END")
    connection.close()
    with Appliance(home) as running, httpx.Client(base_url=running.url, timeout=60) as client:
        desk = Desk(client, {"X-Argilla-Api-Key": running.api_key})
        assert desk.search(dataset, filters=[terms("record", ["completed"], property="status")]) == (["r0"], 1)


def test_a_killed_supervisor_takes_its_children_along(tmp_path: Path) -> None:
    home = tmp_path / "argilla"
    appliance = Appliance(home)
    appliance.start()
    supervisor = json.loads((home / "lock").read_text(encoding="utf-8"))["supervisor"]
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: set(processes(home)) <= {supervisor})
    appliance.stop()
    assert processes(home) == {}


def test_a_server_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    home = tmp_path / "argilla"
    home.mkdir()
    (home / "argilla.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(RedpenError, match=r"(?s)did not start.*file is not a database"):
        Appliance(home).start()
    assert processes(home) == {}
