"""What a stage read, what it was told and what it wrote: one manifest per folder, written last.

A folder with a manifest is finished; without one it never happened. Everything else follows from that: resume skips a
folder that is current, `redpen verify` names the byte that changed, and a training row leads back to its people.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel

from feedback.config import Strict, validate
from feedback.errors import InvalidInput, LineageError
from feedback.ids import content_hash, file_hash

MANIFEST = "manifest.json"
SCRATCH = "scratch"
LOGS = "logs"
"""Subfolders of a stage: scratch (checkpoints) goes when the stage ends; logs stay but are not hashed, since they tell times."""


class FileRecord(Strict):
    """One output file."""

    path: str
    """Relative to the manifest's folder, with forward slashes."""
    sha256: str
    bytes: int


class CodeState(Strict):
    """Which code ran."""

    version: str
    commit: str | None = None
    """Git commit of the checkout it ran from, when it did."""
    uncommitted: bool | None = None


class Manifest(Strict):
    """The record of one finished stage."""

    kind: Literal["manifest"] = "manifest"
    stage: str
    inputs: dict[str, str]
    """Name of each input -> its hash: a folder's `manifest_hash`, or a file's SHA-256."""
    config: dict[str, Any]
    """The resolved configuration of the stage."""
    counts: dict[str, int] = {}
    """What was read, kept, dropped and written."""
    outputs: tuple[FileRecord, ...]
    created_at: AwareDatetime
    code: CodeState
    threads: int | None = None
    """Threads that torch computed with, when it did."""
    seconds: float | None = None
    """Wall seconds of the run that finished the stage."""

    @property
    def hash(self) -> str:
        """Names what was made from what: times, code state and threads are left out, so that the same work has the same hash."""
        return content_hash("stage", self.model_dump(mode="json", include={"stage", "inputs", "config", "counts", "outputs"}))


class Draft:
    """A stage folder being written: `<name>.partial` until it is finished."""

    def __init__(self, folder: Path, *, resumed: bool) -> None:
        self.folder = folder
        self.resumed = resumed
        """True when an earlier run of the same work left its scratch behind."""
        self.counts: dict[str, int] = {}
        self.threads: int | None = None
        self.scratch.mkdir(exist_ok=True)

    @property
    def scratch(self) -> Path:
        """Where checkpoints go: kept over a kill, removed when the stage ends."""
        return self.folder / SCRATCH

    @property
    def logs(self) -> Path:
        """Where times and curves go: kept, not hashed."""
        (self.folder / LOGS).mkdir(exist_ok=True)
        return self.folder / LOGS


def plain(config: BaseModel | Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as JSON values."""
    if isinstance(config, BaseModel):
        return config.model_dump(mode="json")
    return dict(json.loads(json.dumps(config, default=str)))


@contextmanager
def writing(out: Path, *, stage: str, inputs: Mapping[str, str], config: BaseModel | Mapping[str, Any],
            adjustable: Collection[str] = ()) -> Iterator[Draft]:
    """Write a stage into `out.partial`, then hash it, write its manifest and rename it to `out`.

    When the block raises, the partial folder stays: the same work run again finds its scratch (`Draft.resumed`), and
    other work at the same place starts clean. An older `out` is replaced only at the end. A setting named in `adjustable` may
    have changed in between: it decides how the work is done, not what comes of it.
    """
    partial = out.with_name(out.name + ".partial")
    plan = {"stage": stage, "inputs": dict(inputs), "config": plain(config)}
    resumed = _same_plan(partial, plan, adjustable)
    if not resumed:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        (partial / "plan.json").write_text(json.dumps(plan, indent=1, sort_keys=True), encoding="utf-8")
    draft, started = Draft(partial, resumed=resumed), time.monotonic()
    yield draft
    shutil.rmtree(draft.scratch)
    (partial / "plan.json").unlink()
    manifest = Manifest(stage=stage, inputs=dict(inputs), config=plan["config"], counts=draft.counts, outputs=_records(partial),
                        created_at=datetime.now(UTC), code=code_state(), threads=draft.threads,
                        seconds=round(time.monotonic() - started, 3))
    _write_durably(partial / MANIFEST, manifest.model_dump_json(indent=1))
    if out.exists():
        shutil.rmtree(out)
    os.replace(partial, out)


def _same_plan(partial: Path, plan: dict[str, Any], adjustable: Collection[str]) -> bool:
    try:
        before = json.loads((partial / "plan.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(_without(before, adjustable) == _without(plan, adjustable))


def _without(plan: Any, names: Collection[str]) -> Any:
    """The plan less the settings of these names, in whichever section they stand."""
    return {key: _without(value, names) for key, value in plan.items() if key not in names} if isinstance(plan, dict) else plan


def _write_durably(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def _records(folder: Path) -> tuple[FileRecord, ...]:
    return tuple(FileRecord(path=name, sha256=file_hash(folder / name), bytes=(folder / name).stat().st_size)
                 for name in _files(folder))


def _files(folder: Path) -> list[str]:
    """Every output file of a stage folder: not the manifest, the logs or the scratch."""
    found = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return sorted(path.as_posix() for path in found if path.parts[0] not in {LOGS, SCRATCH, MANIFEST})


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a finished stage. Raises LineageError when there is none or it cannot be read."""
    path = folder / MANIFEST
    try:
        return validate(json.loads(path.read_text(encoding="utf-8")), Manifest, source=str(path))
    except FileNotFoundError:
        raise LineageError(f"{folder}: no {MANIFEST}; the stage has not finished, run it again") from None
    except (ValueError, InvalidInput) as error:
        raise LineageError(f"{path}: cannot be read ({error}); run the stage again") from None


def manifest_hash(folder: Path) -> str:
    """What the stages below record as this folder's hash."""
    return read_manifest(folder).hash


def changed_files(folder: Path) -> list[str]:
    """Every file of a finished stage that is missing, altered or unrecorded, as `path: what is wrong`. Empty when all is well."""
    manifest = read_manifest(folder)
    recorded = {record.path: record for record in manifest.outputs}
    present = set(_files(folder))
    problems = [f"{folder / name}: missing" for name in recorded if name not in present]
    problems += [f"{folder / name}: not in the manifest" for name in sorted(present - set(recorded))]
    problems += [f"{folder / name}: altered since it was written" for name in sorted(present & set(recorded))
                 if file_hash(folder / name) != recorded[name].sha256]
    return problems


def is_current(out: Path, *, stage: str, inputs: Mapping[str, str], config: BaseModel | Mapping[str, Any]) -> bool:
    """True when `out` holds exactly this work, finished and unaltered."""
    if not (out / MANIFEST).exists():
        return False
    try:
        manifest = read_manifest(out)
    except LineageError:
        return False
    same = manifest.stage == stage and manifest.inputs == dict(inputs) and manifest.config == plain(config)
    return same and not changed_files(out)


def code_state() -> CodeState:
    """The installed version, and the commit when this runs from a checkout."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        installed = version("redpen-rlhf")
    except PackageNotFoundError:
        installed = "unknown"
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return CodeState(version=installed)
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return CodeState(version=installed, commit=commit, uncommitted=bool(_git(root, "status", "--porcelain")))
    except (OSError, subprocess.CalledProcessError):
        return CodeState(version=installed)


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True).stdout.strip()
