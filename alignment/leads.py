"""Who may approve: an owner or admin of the Argilla workspace, or a user listed under `leads:`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alignment.project import Project
from feedback.errors import DeskRefused

if TYPE_CHECKING:
    from feedback.desk.identity import DeskUser


def identify(project: Project) -> str:
    """The Argilla user whose API key is in the environment. Raises DeskRefused when that person may not approve."""
    import os

    from feedback.desk.identity import own_key, who_is

    config = project.config.argilla
    user = who_is(own_key(project.folder, config, environ=os.environ), workspace=config.workspace)
    if may_approve(user, leads=project.config.leads):
        return user.name
    listed = ", ".join(project.config.leads) or "none listed"
    raise DeskRefused(f"{user.name} is {user.role} in Argilla and may not approve; owners, the workspace's admins and the users "
                      f"under `leads:` in {project.folder / 'redpen.yaml'} may ({listed})")


def may_approve(user: DeskUser, *, leads: tuple[str, ...]) -> bool:
    """An owner, an admin of this workspace, or a listed lead who has an account in it."""
    return user.role == "owner" or (user.in_workspace and (user.role == "admin" or user.name in leads))
