"""The sections of a project's `redpen.yaml` that curation and the training sets read."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from feedback.config import CurationConfig, SetsConfig, SplitConfig, read_yaml
from feedback.prompts import read_prompts
from feedback.schemas import Prompt
from feedback.training_sets.split import held_out_families


class DataSettings(BaseModel):
    """`redpen.yaml` without the keys of models, queues and gates, which the commands that use them check."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Literal["project"] = "project"
    prompts: str = "prompts.jsonl"
    critical: str = "critical.jsonl"
    store: str = "store.db"
    curation: CurationConfig = CurationConfig()
    split: SplitConfig = SplitConfig()
    training_sets: SetsConfig = SetsConfig()


def project_around(folder: Path) -> Path | None:
    """The nearest folder at or above `folder` that holds a redpen.yaml: a stage of a round lies inside its project."""
    above = [folder.resolve(), *folder.resolve().parents]
    return next((each for each in above if (each / "redpen.yaml").is_file()), None)


def read_settings(project: Path | None) -> DataSettings:
    """The project's settings, or the defaults without one. Raises InvalidInput with every problem in these sections."""
    return read_yaml(project / "redpen.yaml", DataSettings) if project else DataSettings()


def project_prompts(project: Path | None, settings: DataSettings) -> list[Prompt]:
    """All prompts of the project, critical ones included; none without a project."""
    if project is None:
        return []
    critical = read_prompts(project / settings.critical, critical=True)
    return [*critical, *read_prompts(project / settings.prompts)]


def remembered_prompts(project: Path | None, settings: DataSettings) -> list[Prompt]:
    """All prompts of the project, and those that have left its files and stand in its store: what was held out once stays out."""
    from feedback.store.store import Store, located

    prompts = project_prompts(project, settings)
    where = located(settings.store, project) if project else None
    if where is None or (isinstance(where, Path) and not where.is_file()):
        return prompts
    with Store.open(where) as store:
        return [*prompts, *store.prompts()]


def held_out_prompts(project: Path | None, settings: DataSettings) -> list[Prompt]:
    """Those of the remembered prompts whose families are held out, the critical ones among them; none without a project."""
    prompts = remembered_prompts(project, settings)
    families = held_out_families(prompts, settings.split)
    return [prompt for prompt in prompts if prompt.family in families]
