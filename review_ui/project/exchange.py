"""`python -m review_ui.project.exchange DIR`: new answers go to the reviewers, new ratings come back, every few seconds."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from feedback.errors import RedpenError
from feedback.terminal import note

if TYPE_CHECKING:
    from feedback.desk.pull import PullReport

EVERY_SECONDS = 5.0
"""Between two looks. A look at datasets in which nobody did anything costs the server one request."""


def exchange(folder: Path, *, looks: int | None = None) -> None:
    """Set the desk up, then push and pull until something fails; with `looks`, only that often.

    Raises what the desk raises: whoever supervises this starts it again.
    """
    from feedback.desk.argilla_desk import connect
    from feedback.desk.project import connection, open_project_store, project_router, project_rubric, read_desk_project
    from feedback.desk.setup import setup
    from feedback.desk.sync import sync

    project = read_desk_project(folder)
    rubric = project_rubric(folder, project)
    there = connection(folder, project.argilla, environ=os.environ)
    desk = connect(project.argilla, url=there.url, api_key=there.api_key, advice=there.advice)
    router = project_router(desk, project)
    for step in setup(desk, rubric, project.queues, router=router, dry_run=False).steps:
        note(step)
    with open_project_store(folder, project) as store:
        while looks is None or looks > 0:
            done = sync(desk, store, rubric, project.queues, router=router)
            tell(pushed=done.pushed.pushed, pulled=done.pulled)
            looks = looks - 1 if looks is not None else None
            if looks != 0:
                time.sleep(EVERY_SECONDS)


def tell(*, pushed: int, pulled: PullReport) -> None:
    """A line for the log, when something went to and fro."""
    if pushed or pulled.new or pulled.changed or pulled.deleted:
        note(f"pushed {pushed} items; pulled {pulled.new} new ratings, {pulled.changed} changed, {pulled.deleted} withdrawn")
    for rejected in pulled.rejected:
        note(f"record {rejected.record_id}, {rejected.reviewer}: rejected; " + "; ".join(rejected.problems))


def main(folder: Path) -> None:
    """Exchange until the end of the process; what goes wrong is its last line."""
    try:
        exchange(folder)
    except RedpenError as error:
        note(" ".join(str(error).split()))
        sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
