"""A home in one file, taken while people save, put back elsewhere, and refused when it is damaged."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import stat
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from feedback.errors import InvalidInput, LineageError, Locked, NothingToDo
from review_ui.appliance.appliance import Appliance, Running
from review_ui.appliance.archive import COUNTED, DATABASE, backup, counts_of, restore
from review_ui.appliance.holding import hold
from tests.review_ui.appliance.desk import Dataset, Desk


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home without a server, with the tables that are counted."""
    made = tmp_path / "argilla"
    made.mkdir()
    with closing(sqlite3.connect(made / DATABASE)) as database, database:
        for table in COUNTED:
            database.execute(f"CREATE TABLE {table} (id)")
        database.executemany("INSERT INTO records VALUES (?)", [(number,) for number in range(5)])
    (made / "secret.key").write_text("secret")
    return made


def test_a_backup_is_put_back_as_it_was(home: Path, tmp_path: Path) -> None:
    taken = backup(home, tmp_path / "backup.tar.gz")
    assert taken.counts == {**dict.fromkeys(COUNTED, 0), "records": 5}
    assert stat.S_IMODE((tmp_path / "backup.tar.gz").stat().st_mode) == 0o600
    assert restore(tmp_path / "new", tmp_path / "backup.tar.gz") == taken
    assert counts_of(tmp_path / "new" / DATABASE) == taken.counts
    assert (tmp_path / "new" / "secret.key").read_text() == "secret"
    assert stat.S_IMODE((tmp_path / "new" / "secret.key").stat().st_mode) == 0o600


def test_what_a_backup_replaces_is_moved_aside(home: Path, tmp_path: Path) -> None:
    backup(home, tmp_path / "backup.tar.gz")
    with closing(sqlite3.connect(home / DATABASE)) as database, database:
        database.execute("DELETE FROM records")
    with pytest.raises(InvalidInput, match="holds a server's data already; --replace"):
        restore(home, tmp_path / "backup.tar.gz")
    assert counts_of(home / DATABASE)["records"] == 0
    restore(home, tmp_path / "backup.tar.gz", replace=True)
    [aside] = home.glob("before-restore-*")
    assert (counts_of(home / DATABASE)["records"], counts_of(aside / DATABASE)["records"]) == (5, 0)


def test_a_home_in_use_is_not_restored(home: Path, tmp_path: Path) -> None:
    backup(home, tmp_path / "backup.tar.gz")
    with closing(hold(home)) as lock:
        lock.write(json.dumps({"starter": os.getpid(), "url": "http://here"}))
        lock.flush()
        with pytest.raises(Locked, match="is in use by process"):
            restore(home, tmp_path / "backup.tar.gz", replace=True)


def repacked(file: Path, **changed: bytes) -> None:
    """The same archive with other content under some names."""
    with tarfile.open(file) as tar:
        parts = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    with tarfile.open(file, "w:gz") as tar:
        for name, content in {**parts, **changed}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def test_a_damaged_backup_changes_nothing(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    backup(home, file)
    repacked(file, **{"secret.key": b"another"})
    before = sorted(path.name for path in home.iterdir())
    with pytest.raises(LineageError, match=r"secret\.key is not the one that was backed up"):
        restore(home, file, replace=True)
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(InvalidInput, match="not a whole backup"):
        restore(home, file, replace=True)
    assert sorted({path.name for path in home.iterdir()} - {"lock"}) == before


def test_a_backup_that_names_a_file_elsewhere_is_refused(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    backup(home, file)
    repacked(file, **{"../outside": b"x"})
    with pytest.raises(InvalidInput, match="not a whole backup"):
        restore(tmp_path / "new", file)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("content", [None, b"", b"no archive at all"])
def test_what_is_no_backup_is_refused(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"redpen server backup"):
        restore(tmp_path / "argilla", tmp_path / "file")


def test_a_damaged_database_is_not_backed_up(home: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(home / DATABASE)) as database, database:
        database.executemany("INSERT INTO records VALUES (?)", [("x" * 4000,) for _ in range(50)])
    content = bytearray((home / DATABASE).read_bytes())
    content[len(content) // 2:len(content) // 2 + 8192] = b"\xff" * 8192
    (home / DATABASE).write_bytes(content)
    with pytest.raises(LineageError, match="is damaged"):
        backup(home, tmp_path / "backup.tar.gz")
    assert list(tmp_path.glob("backup*")) == []


def test_nothing_is_overwritten_and_nothing_is_no_backup(home: Path, tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    with pytest.raises(InvalidInput, match="there exists"):
        backup(home, tmp_path / "there")
    with pytest.raises(NothingToDo, match="nothing to back up"):
        backup(tmp_path / "nowhere", tmp_path / "backup.tar.gz")


@contextmanager
def saving(desk: Desk, dataset: Dataset) -> Iterator[list[str]]:
    """A simulated reviewer who saves one answer after the other; what was acknowledged so far."""
    reviewer, done, stop = desk.reviewer(dataset), [], threading.Event()
    ids = [row["id"] for row in desk.call("GET", f"datasets/{dataset.id}/records", params={"limit": 500})["items"]]

    def save() -> None:
        for record in ids:
            if stop.is_set():
                return
            done.append(reviewer.answer(record))

    thread = threading.Thread(target=save)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


@pytest.mark.argilla
def test_a_backup_taken_while_people_save_holds_what_was_acknowledged(running: Running, desk: Desk, tmp_path: Path) -> None:
    dataset = desk.dataset([{"external_id": f"r{n}", "fields": {"prompt": f"question {n}"}} for n in range(300)])
    with saving(desk, dataset) as done:
        while len(done) < 5:
            pass
        acknowledged = len(done)
        taken = backup(running.owner_file.parent, tmp_path / "backup.tar.gz")
    restore(tmp_path / "argilla", tmp_path / "backup.tar.gz")
    with Appliance(tmp_path / "argilla") as again, httpx.Client(base_url=again.url, timeout=60) as client:
        restored = Desk(client, {"X-Argilla-Api-Key": again.api_key})
        rows = restored.call("GET", f"datasets/{dataset.id}/records", params={"limit": 500, "include": "responses"})["items"]
        assert restored.search(dataset, query={"text": {"q": "question 7"}})[0] == ["r7"]
    assert sum(len(row["responses"]) for row in rows) >= acknowledged
    assert taken.counts["records"] >= 300
    assert again.api_key == running.api_key
