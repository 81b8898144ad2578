"""A home in one file, taken while people work, and put back.

The file is a gzipped tar with the database, the key that signs logins, the owner's credentials and `contents.json`, which holds
counts and hashes. Background jobs that wait (webhooks not yet delivered) and logs are not in it.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from feedback.config import Strict, validate
from feedback.errors import InvalidInput, LineageError, NothingToDo
from feedback.ids import file_hash
from feedback.terminal import progress
from review_ui.appliance.holding import hold
from review_ui.appliance.versions import installed

DATABASE = "argilla.db"
PRIVATE = ("secret.key", "owner.json", "versions.json")
CONTENTS = "contents.json"
COUNTED = ("users", "workspaces", "datasets", "records", "responses", "suggestions", "vectors")
PAGES_AT_ONCE = 2_000
"""Of the database, 4 KiB each."""


class Contents(Strict):
    """`contents.json` of a backup."""

    kind: str = "argilla backup"
    taken_at: str
    """In UTC."""
    server: str
    """Version of argilla-server."""
    counts: dict[str, int]
    files: dict[str, str]
    """Name -> SHA-256."""


def backup(home: Path, out: Path) -> Contents:
    """Write one moment of the home to `out`, mode 0600, whole or not at all; nobody waits for it.

    Raises NothingToDo where no server was ever started, InvalidInput when `out` exists, LineageError when the database is
    damaged.
    """
    if not (home / DATABASE).exists():
        raise NothingToDo(f"{home}: no server was started here yet; there is nothing to back up")
    if out.exists():
        raise InvalidInput(f"{out} exists; choose another name, or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    with _scratch(out.with_name(out.name + ".partial")) as scratch:
        _copy(home / DATABASE, scratch / DATABASE)
        for name in PRIVATE:
            if (home / name).exists():
                shutil.copyfile(home / name, scratch / name)
        counts = counts_of(_sound(scratch / DATABASE))
        contents = Contents(taken_at=datetime.now(UTC).isoformat(timespec="seconds"), server=installed().server, counts=counts,
                            files={path.name: file_hash(path) for path in sorted(scratch.iterdir())})
        (scratch / CONTENTS).write_text(contents.model_dump_json(indent=1) + "\n", encoding="utf-8")
        _pack(scratch, out)
    return contents


def restore(home: Path, file: Path, *, replace: bool = False) -> Contents:
    """Put a backup into `home`. With `replace`, what is there is moved aside into `before-restore-...`, never deleted.

    Everything is unpacked and checked first, so a bad file or a kill leaves the home as it was. Raises Locked while a server
    runs on the home, InvalidInput when the home has a database and `replace` was not asked for, or the file is no backup, and
    LineageError when it is damaged.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(hold(home)), _scratch(home / "restore.partial") as scratch:
        if (home / DATABASE).exists() and not replace:
            raise InvalidInput(f"{home} holds a server's data already; --replace moves it aside and puts the backup in its place")
        contents = _unpack(file, scratch)
        _sound(scratch / DATABASE)
        _set_aside(home)
        for name in contents.files:
            os.chmod(scratch / name, 0o600)
            os.replace(scratch / name, home / name)
    return contents


def counts_of(database: Path) -> dict[str, int]:
    """Rows of the tables that people would miss."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in COUNTED}  # noqa: S608


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """An empty folder that only its owner may read, gone at the end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy(database: Path, out: Path) -> None:
    """One consistent state of a database that others write to."""
    with closing(sqlite3.connect(database, timeout=60)) as source, closing(sqlite3.connect(out)) as target:
        # While this transaction is open the source stays as it is for this connection, so the copy never starts again.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        pages = source.execute("PRAGMA page_count").fetchone()[0]
        with progress("copying the database", total=pages) as advance:
            source.backup(target, pages=PAGES_AT_ONCE, progress=_steps(advance))
        target.execute("PRAGMA journal_mode = DELETE")


def _steps(advance: Callable[[int], None]) -> Callable[[int, int, int], None]:
    done = 0

    def tell(_status: int, remaining: int, total: int) -> None:
        nonlocal done
        advance(total - remaining - done)
        done = total - remaining

    return tell


def _sound(database: Path) -> Path:
    """The database, when SQLite finds nothing wrong in it. Raises LineageError with what it found."""
    with closing(sqlite3.connect(database)) as connection:
        try:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        except sqlite3.DatabaseError as error:
            found = [str(error)]
    if found != ["ok"]:
        raise LineageError(f"{database.name} is damaged ({'; '.join(found[:3])}); nothing was written")
    return database


def _pack(scratch: Path, out: Path) -> None:
    partial = scratch / "packed"
    names = [CONTENTS, *sorted(path.name for path in scratch.iterdir() if path.name != CONTENTS)]
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with progress("packing", total=len(names)) as advance, tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as tar:
            for name in names:
                tar.add(scratch / name, arcname=name)
                advance()
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, out)


def _unpack(file: Path, scratch: Path) -> Contents:
    try:
        with tarfile.open(file, "r:gz") as tar:
            tar.extractall(scratch, filter="data")
        contents = validate(json.loads((scratch / CONTENTS).read_text(encoding="utf-8")), Contents, source=f"{file}: {CONTENTS}")
    except FileNotFoundError as error:
        missing = file if error.filename == str(file) else f"{CONTENTS} in {file}"
        raise InvalidInput(f"{missing}: no such file; name a file that `redpen server backup` wrote") from None
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise InvalidInput(f"{file}: not a whole backup ({error}); name a file that `redpen server backup` wrote") from None
    if DATABASE not in contents.files:
        raise InvalidInput(f"{file}: {CONTENTS} names no {DATABASE}")
    for name, recorded in contents.files.items():
        if Path(name).name != name or not (scratch / name).is_file() or file_hash(scratch / name) != recorded:
            raise LineageError(f"{file}: {name} is not the one that was backed up; the file is damaged, use another backup")
    return contents


def _set_aside(home: Path) -> None:
    """Move what a backup replaces into a folder of its own."""
    stays = {"lock", "logs", "backups", "restore.partial"}
    there = [path for path in home.iterdir() if path.name not in stays and not path.name.startswith("before-restore-")]
    if not there:
        return
    aside = home / f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    aside.mkdir(mode=0o700)
    for path in there:
        os.replace(path, aside / path.name)
