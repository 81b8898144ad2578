"""Who may approve: an owner or admin of the Argilla workspace, or a user listed under `leads:`."""

from __future__ import annotations

from alignment.project import Project
from feedback.errors import DeskRefused


def identify(project: Project) -> str:
    """The Argilla user whose API key is in the environment. Raises DeskRefused when that person may not approve."""
    from feedback.desk.identity import who_am_i

    user = who_am_i(project.folder, project.config.argilla)
    if user.role in {"owner", "admin"} or user.name in project.config.leads:
        return user.name
    listed = ", ".join(project.config.leads) or "none listed"
    raise DeskRefused(f"{user.name} is {user.role} in Argilla and may not approve; owners, admins and the users under `leads:` "
                      f"in {project.folder / 'redpen.yaml'} may ({listed})")
