"""A new project folder: configuration, review form and example questions that a newcomer can follow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from feedback.errors import InvalidInput

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


@dataclass(frozen=True, slots=True)
class NewProject:
    """What `create` did."""

    folder: Path
    written: tuple[str, ...]
    kept: tuple[str, ...]
    """Files that were there already and were left as they are."""


def create(folder: Path, *, base: str = DEFAULT_BASE, force: bool = False) -> NewProject:
    """Write a project's files into `folder`.

    Raises InvalidInput when the folder holds anything, unless `force`; then the missing files are added. A file that
    exists is never overwritten.
    """
    _refuse_unsuitable(folder, force=force)
    folder.mkdir(parents=True, exist_ok=True)
    written = [name for name in TEMPLATES if _write_new(folder / name, text_of(name, base=base))]
    return NewProject(folder, tuple(written), tuple(name for name in TEMPLATES if name not in written))


def text_of(name: str, *, base: str = DEFAULT_BASE) -> str:
    """What a new project's file `name` says, with `base` as its model."""
    text = files("configs").joinpath(*TEMPLATES[name]).read_text(encoding="utf-8")
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
