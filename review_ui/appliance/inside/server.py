"""`python -m inside.server`: Argilla with the embedded engine, on a socket that the supervisor already listens on."""

from __future__ import annotations

import argparse
import gc
import json
import os
import secrets
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import interrupted, revisions, rules, schema, stand_ins
from .secrets import secret_key

if TYPE_CHECKING:
    from fastapi import FastAPI


def main() -> None:
    """Prepare the database, make the first owner and serve until SIGTERM."""
    # Nothing that the imports make is garbage: looking for it takes a tenth of the start.
    gc.disable()
    arguments = _arguments()
    home = Path(arguments.home)
    configure(home, url=arguments.url, redis=arguments.redis)
    threads = ThreadPoolExecutor(1)
    database = home / "argilla.db"
    # SQLite looks at the index on the other core while Python imports the server on this one.
    checked = None if is_behind(database) else threads.submit(_check, home)
    from . import driver
    from .database import FLUSHED_AT_RESPONSE, configure_connections

    driver.install()
    configure_connections(FLUSHED_AT_RESPONSE)
    # Importing the server builds its app, so everything it reads is set by now.
    with stand_ins.without_hashing():
        from argilla_server import app

    from . import blindness, courtesy, durability, engine, owner, remembering, repairs, trimming

    repairs.read_records_with_vectors()
    if checked is None:
        migrate(database)
        checked = threads.submit(_check, home)
    checked.result()
    owner.ensure(home, url=arguments.url)
    trimming.skip_unwanted_events(str(database))
    trimming.lighten_middleware(app)
    remembering.install()
    courtesy.install()
    if rules.RulesFile(home).exists():
        engine.route(home)
    blindness.keep_from_reviewers()
    _extend(app, home, passwords=json.loads(arguments.passwords) if arguments.passwords else None)
    durability.fold_log(database)
    _settle_memory()
    _serve(app, descriptor=arguments.descriptor, ready=home / "run" / "ready")


def _extend(app: FastAPI, home: Path, *, passwords: dict[str, Any] | None) -> None:
    """What the stock server lacks: middleware, of which the last added is asked first, and routes."""
    from . import adding, answers, bodies, courtesy, durability, full_disk, health, pages, signing_in
    from .database import Readers

    database = home / "argilla.db"
    app.add_middleware(durability.AcknowledgeDurably, flusher=durability.Flusher(database))
    app.add_middleware(bodies.RefuseWhatCannotBeKept)
    app.add_middleware(pages.SafeHeaders)
    app.add_middleware(courtesy.CountWaiting)
    signing_in.guard(app, passwords)
    health.mount(app, database)
    full_disk.mount(home)
    answers.mount(Readers(str(database)))
    adding.mount()
    pages.mount(app)


def _check(home: Path) -> None:
    """Make the index agree with the records, and each record's status with its answers."""
    database = home / "argilla.db"
    schema.ensure(str(database), tell=partial(_tell, home / "run" / "indexing"), seed=secrets.token_hex(8))
    interrupted.finish(database, routed=rules.RulesFile(home).exists())


def _tell(path: Path, done: int, total: int) -> None:
    """How far the index is, for the progress bar of whoever started the appliance."""
    path.write_text(f"{done} {total}", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="inside.server")
    parser.add_argument("--home", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--redis", required=True)
    parser.add_argument("--descriptor", type=int, required=True)
    parser.add_argument("--passwords", default="", help="JSON of PasswordRules")
    return parser.parse_args()


def configure(home: Path, *, url: str, redis: str) -> None:
    """Set what argilla-server reads from the environment when it is imported; nothing of the user's own is left in."""
    for name in [name for name in os.environ if name.startswith("ARGILLA_")]:
        del os.environ[name]
    os.environ.update({
        "ARGILLA_HOME_PATH": str(home),
        "ARGILLA_DATABASE_URL": f"sqlite+aiosqlite:///{home / 'argilla.db'}?check_same_thread=False",
        "ARGILLA_SEARCH_ENGINE": "embedded",
        "ARGILLA_REDIS_URL": redis,
        "ARGILLA_CORS_ORIGINS": f'["{url}"]',
        "ARGILLA_AUTH_SECRET_KEY": secret_key(home),
        "ARGILLA_AUTH_OAUTH_CFG": str(home / "oauth.yaml"),
        "ARGILLA_SHOW_HUGGINGFACE_SPACE_PERSISTENT_STORAGE_WARNING": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
    })
    stand_ins.without_search_clusters()
    stand_ins.without_hub()


def is_behind(database: Path) -> bool:
    """Whether its tables are an older server's, or not there yet. Exits when they are a newer server's."""
    at, migrations = revisions.of_database(database), revisions.known()
    if at is not None and at not in migrations:
        sys.exit(f"{database} was last used by a newer Argilla server (its migration {at} is unknown to this one). Nothing was "
                 "changed. Use the newer Redpen again, or restore an older backup with `redpen server restore`.")
    return at != revisions.newest(migrations)


def migrate(database: Path) -> None:
    """Bring the tables to this server's version. Alembic is used directly: the server's own command line does not run
    with a current click. Exits when they are a newer server's."""
    if not is_behind(database):
        return
    from alembic import command
    from alembic.config import Config
    from argilla_server.database import ALEMBIC_CONFIG_FILE

    command.upgrade(Config(ALEMBIC_CONFIG_FILE), "head")


def _settle_memory() -> None:
    """What was imported stays for good, so the collector need not look at it with every few requests."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 20, 20)


def _serve(app: object, *, descriptor: int, ready: Path) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list | None = None) -> None:
            await super().startup(sockets=sockets)
            ready.touch()

    config = uvicorn.Config(app, access_log=False, log_level="warning", timeout_graceful_shutdown=5)  # type: ignore[arg-type]
    # Given as a number, uvicorn takes it for a unix socket, and every answer of two packets waits 40 ms for the client's
    # delayed acknowledgement: only for TCP is that switched off.
    Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main()
