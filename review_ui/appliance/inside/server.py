"""`python -m inside.server`: Argilla with the embedded engine, on a socket that the supervisor already listens on."""

from __future__ import annotations

import argparse
import gc
import os
import re
import sqlite3
from pathlib import Path

from . import stand_ins
from .secrets import secret_key


def main() -> None:
    """Prepare the database, make the first owner and serve until SIGTERM."""
    arguments = _arguments()
    home = Path(arguments.home)
    configure(home, url=arguments.url, redis=arguments.redis)
    from . import driver
    from .database import FLUSHED_AT_RESPONSE, configure_connections

    driver.install()
    configure_connections(FLUSHED_AT_RESPONSE)
    # Importing the server builds its app, so everything it reads is set by now.
    from argilla_server import app

    from . import durability, engine, interrupted, owner, pages, repairs, rules, schema, trimming

    repairs.read_records_with_vectors()
    database = home / "argilla.db"
    migrate(database)
    schema.ensure(str(database))
    routed = rules.RulesFile(home).exists()
    interrupted.finish(database, routed=routed)
    owner.ensure(home, url=arguments.url)
    trimming.skip_unwanted_events(str(database))
    trimming.lighten_middleware(app)
    if routed:
        engine.route(home)
    app.add_middleware(durability.AcknowledgeDurably, flusher=durability.Flusher(database))
    app.add_middleware(pages.SafeHeaders)
    pages.mount(app)
    durability.fold_log(database)
    _settle_memory()
    _serve(app, descriptor=arguments.descriptor, ready=home / "run" / "ready")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="inside.server")
    parser.add_argument("--home", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--redis", required=True)
    parser.add_argument("--descriptor", type=int, required=True)
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


def migrate(database: Path) -> None:
    """Bring the tables to this server's version. Alembic is used directly: the server's own command line does not run
    with a current click."""
    from argilla_server.database import ALEMBIC_CONFIG_FILE

    if _revision(database) == _newest_revision(Path(ALEMBIC_CONFIG_FILE).parent / "alembic" / "versions"):
        return
    from alembic import command
    from alembic.config import Config

    command.upgrade(Config(ALEMBIC_CONFIG_FILE), "head")


def _newest_revision(versions: Path) -> str | None:
    """The migration that no other follows, read from the files' text: importing Alembic would take a third of a second."""
    texts = [path.read_text(encoding="utf-8") for path in versions.glob("*.py")]
    revisions, followed = ({found[1] for text in texts if (found := re.search(rf'^{name} = "(\w+)"', text, re.MULTILINE))}
                           for name in ("revision", "down_revision"))
    newest = revisions - followed
    return newest.pop() if len(newest) == 1 else None


def _revision(database: Path) -> str | None:
    connection = sqlite3.connect(database)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return row[0] if row else None
    except sqlite3.OperationalError:
        return None
    finally:
        connection.close()


def _settle_memory() -> None:
    """What was imported stays for good, so the collector need not look at it with every few requests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _serve(app: object, *, descriptor: int, ready: Path) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list | None = None) -> None:
            await super().startup(sockets=sockets)
            ready.touch()

    Server(uvicorn.Config(app, fd=descriptor, access_log=False, log_level="warning", timeout_graceful_shutdown=5)).run()  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
