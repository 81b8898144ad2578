"""A new project folder: configuration, review form and example questions that a newcomer can follow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from feedback.errors import InvalidInput
from feedback.rubric import read_rubric

TEMPLATES = {
    "redpen.yaml": ("project", "redpen.yaml"),
    "rubric.yaml": ("rubric", "answers.yaml"),
    "prompts.jsonl": ("project", "prompts.jsonl"),
    "critical.jsonl": ("project", "critical.jsonl"),
    # Without its dot the template is not taken for a rule about this repository.
    ".gitignore": ("project", "gitignore"),
}
"""File in the project -> its template inside the `configs` package."""

DEFAULT_BASE = "smollm2"
DEFAULT_RUBRIC = "answers"


@dataclass(frozen=True, slots=True)
class NewProject:
    """What `create` did."""

    folder: Path
    written: tuple[str, ...]
    kept: tuple[str, ...]
    """Files that were there already and were left as they are."""
    judges: bool
    """Whether its form judges answers, which a model is asked for; else experts label texts."""


def create(folder: Path, *, base: str = DEFAULT_BASE, rubric: str = DEFAULT_RUBRIC, force: bool = False) -> NewProject:
    """Write a project's files into `folder`, the review form from the ready rubric of that name.

    Raises InvalidInput when there is no such rubric, and when the folder holds anything, unless `force`; then the missing
    files are added. A file that exists is never overwritten.
    """
    _refuse_unsuitable(folder, force=force)
    if rubric not in rubrics():
        raise InvalidInput(f"--rubric is {rubric!r}; the ready ones are {', '.join(rubrics())}")
    folder.mkdir(parents=True, exist_ok=True)
    written = [name for name in TEMPLATES if _write_new(folder / name, text_of(name, base=base, rubric=rubric))]
    return NewProject(folder, tuple(written), tuple(name for name in TEMPLATES if name not in written),
                      read_rubric(folder / "rubric.yaml").judges)


def rubrics() -> list[str]:
    """Names of the ready rubrics, in alphabetical order."""
    return sorted(path.name.removesuffix(".yaml") for path in files("configs").joinpath("rubric").iterdir()
                  if path.name.endswith(".yaml"))


def text_of(name: str, *, base: str = DEFAULT_BASE, rubric: str = DEFAULT_RUBRIC) -> str:
    """What a new project's file `name` says, with `base` as its model and a ready rubric as its form."""
    where = ("rubric", f"{rubric}.yaml") if name == "rubric.yaml" else TEMPLATES[name]
    text = files("configs").joinpath(*where).read_text(encoding="utf-8")
    if name != "redpen.yaml" or base == DEFAULT_BASE:
        return text
    # A JSON string is a YAML string, whatever characters a path holds.
    return text.replace(f"\n  base: {DEFAULT_BASE}\n", f"\n  base: {json.dumps(base, ensure_ascii=False)}\n", 1)


def _refuse_unsuitable(folder: Path, *, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(f"{folder}: is a file; name a folder for the project")
    found = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if found and not force:
        shown = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        raise InvalidInput(f"{folder}: not empty (it holds {shown}); name a new folder, or add --force to write the files "
                           "that are missing. Files that exist are never overwritten")


def _write_new(path: Path, text: str) -> bool:
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True
