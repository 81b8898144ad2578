"""`serve` in a process of its own, over a workspace that needs no Argilla: run as `python -m`, with the options as JSON."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path

from alignment.project import Project
from feedback.terminal import note
from review_ui.project.serve import ServeOptions, Workspace, serve


def pretend(project: Project, options: ServeOptions, running: ExitStack) -> Workspace:
    """A workspace that is there at once, and says when it is taken down."""
    running.callback(note, "workspace taken down")
    owner = project.folder / "argilla" / "owner.json"
    return Workspace("http://127.0.0.1:1", owner, username="owner", first_password="first-password")


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    serve(ServeOptions(**{**given, "folder": Path(given["folder"])}), open_workspace=pretend)
