"""`python -m inside.worker`: the background jobs (webhooks, record status, hub import and export), one at a time.

The jobs run in this process, not in a forked child: a fork would outlive a killed worker, and copies the imports.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from pathlib import Path
from typing import Any

from .server import configure

PROMOTE_SECONDS = 2.0


def main() -> None:
    """Work on the queues `high` and `default` until SIGTERM."""
    parser = argparse.ArgumentParser(prog="inside.worker")
    for name in ("--home", "--url", "--redis"):
        parser.add_argument(name, required=True)
    arguments = parser.parse_args()
    home = Path(arguments.home)
    os.nice(5)
    _wait_for(home / "run" / "ready")
    configure(home, url=arguments.url, redis=arguments.redis)
    os.environ.pop("HF_HUB_OFFLINE")
    from .database import FLUSHED_AT_COMMIT, configure_connections

    configure_connections(FLUSHED_AT_COMMIT)
    _without_pool()
    from argilla_server.jobs.queues import DEFAULT_QUEUE, HIGH_QUEUE, REDIS_CONNECTION
    from rq import SimpleWorker

    from . import engine, rules  # noqa: F401

    if rules.RulesFile(home).exists():
        from .gate import follow_wanted_reviews

        follow_wanted_reviews()

    _promote_due_jobs([HIGH_QUEUE.name, DEFAULT_QUEUE.name], REDIS_CONNECTION)
    SimpleWorker([HIGH_QUEUE, DEFAULT_QUEUE], connection=REDIS_CONNECTION).work(logging_level="WARNING")


def _promote_due_jobs(queues: list[str], connection: Any) -> None:
    """Put jobs whose time has come into their queue, such as a webhook that is tried again after a minute.

    rq would fork a second process for this; a thread does.
    """
    from rq.scheduler import RQScheduler

    scheduler = RQScheduler(queues, connection=connection)

    def promote() -> None:
        while True:
            scheduler.acquire_locks()
            scheduler.enqueue_scheduled_jobs()
            scheduler.heartbeat()
            time.sleep(PROMOTE_SECONDS)

    threading.Thread(target=promote, daemon=True, name="due-jobs").start()


def _wait_for(ready: Path) -> None:
    """The server comes first: its start is what a person waits for."""
    while not ready.exists():
        time.sleep(0.2)


def _without_pool() -> None:
    """Every job has an event loop of its own, and a pooled connection belongs to the loop that opened it."""
    from argilla_server import database
    from argilla_server.settings import settings
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    database.AsyncSessionLocal.configure(bind=create_async_engine(settings.database_url, poolclass=NullPool))


if __name__ == "__main__":
    main()
