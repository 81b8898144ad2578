"""A project as the desk needs it: the few keys of `redpen.yaml` that concern reviewers, and how its Argilla is reached."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from feedback.config import DeskConfig, QueueConfig, read_yaml
from feedback.desk.desk import Desk
from feedback.desk.routing import Router, open_router
from feedback.errors import DeskUnreachable, InvalidInput
from feedback.rubric import Rubric, read_rubric
from feedback.store.store import Store, located

SERVE = "run `redpen serve` in the project and leave it running, or name another Argilla under `argilla: url:` in redpen.yaml"


class DeskProject(BaseModel):
    """`redpen.yaml` without the keys of training and gates, which the commands that use them check."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Literal["project"]
    rubric: str = "rubric.yaml"
    store: str = "store.db"
    argilla: DeskConfig = DeskConfig()
    queues: QueueConfig = QueueConfig()


@dataclass(frozen=True)
class Connection:
    """An Argilla and the key to it."""

    url: str
    api_key: str
    advice: str
    """What to do when nothing answers there."""


def read_desk_project(folder: Path) -> DeskProject:
    """The project's keys that concern reviewers. Raises InvalidInput with every problem in them."""
    return read_yaml(folder / "redpen.yaml", DeskProject)


def project_rubric(folder: Path, project: DeskProject) -> Rubric:
    """The project's review form."""
    return read_rubric(folder / project.rubric)


def open_project_store(folder: Path, project: DeskProject) -> Store:
    """The project's store."""
    return Store.open(located(project.store, folder))


def project_router(desk: Desk, project: DeskProject) -> Router | None:
    """What sends the project's records to people; None where they are not routed.

    Raises InvalidInput when an adjudicator is a group that the configuration does not have.
    """
    return open_router(desk, project.argilla.routing, adjudicators=project.queues.adjudicators)


def connection(folder: Path, config: DeskConfig, *, environ: Mapping[str, str]) -> Connection:
    """How the project's Argilla is reached: `argilla.url`, else the SDK's environment variables, else its own appliance.

    Raises InvalidInput when an address has no key, and DeskUnreachable when there is no Argilla at all.
    """
    if config.url:
        return Connection(config.url, _key(environ, config.api_key_env, f"{folder / 'redpen.yaml'}: argilla.url is {config.url}"),
                          "check `argilla.url` in redpen.yaml, and that the server runs")
    if url := environ.get("ARGILLA_API_URL"):
        return Connection(url, _key(environ, "ARGILLA_API_KEY", f"ARGILLA_API_URL is {url}"),
                          "check the environment variable ARGILLA_API_URL, and that the server runs")
    owner_file = folder / "argilla" / "owner.json"
    try:
        owner = json.loads(owner_file.read_text(encoding="utf-8"))
        return Connection(owner["url"], owner["api_key"], SERVE)
    except FileNotFoundError:
        raise DeskUnreachable(f"{folder}: no Argilla yet; {SERVE}") from None
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInput(f"{owner_file}: cannot be read ({error!r}); stop `redpen serve` and start it again") from None


def _key(environ: Mapping[str, str], name: str, where: str) -> str:
    key = environ.get(name, "").strip()
    if not key:
        raise InvalidInput(f"{where}, but the environment variable {name} is not set; "
                           "put the API key of an owner there, from Argilla's user settings")
    return key
