"""The Python environment that argilla-server lives in: created once from the lock file, shared by all projects.

argilla-server pins libraries that Redpen must not have, so it gets its own virtual environment in the user's cache, named
after the lock file's content and the Python version: a new lock makes a new environment beside the old one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from feedback.errors import MissingPart
from feedback.paths import cache_dir
from feedback.terminal import progress

LOCK_FILE = Path(__file__).with_name("requirements.lock")
_LAYOUT = b"2"
"""Raised when something besides the lock file changes in what is created."""
_TITLE = "Preparing the Argilla server (once)"


def folder(cache: Path | None = None) -> Path:
    """Where the environment for this lock file and this Python is, or will be."""
    parts = (LOCK_FILE.read_bytes(), _LAYOUT, sys.version.encode(), sysconfig.get_platform().encode())
    return (cache or cache_dir()) / "appliance" / hashlib.sha256(b"\n".join(parts)).hexdigest()[:16]


def python_in(environment: Path) -> Path:
    return environment / "bin" / "python"


def is_ready(cache: Path | None = None) -> bool:
    """True when nothing needs to be installed. A folder under its final name is complete: it is renamed last."""
    return python_in(folder(cache)).exists()


def ensure(cache: Path | None = None) -> Path:
    """The environment's Python, after creating the environment when it is missing, with a progress bar.

    Two at once wait for each other; one that was killed half-way is started anew. Raises MissingPart when packages
    cannot be had, with pip's own last lines.
    """
    from filelock import FileLock

    final = folder(cache)
    if not is_ready(cache):
        final.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(final.with_suffix(".lock")):
            if not is_ready(cache):
                _create(final)
    return python_in(final)


def _create(final: Path) -> None:
    partial = final.with_suffix(".partial")
    # A folder without its Python (a removed interpreter, a killed run) is of no use to anybody.
    for leftover in (partial, final):
        shutil.rmtree(leftover, ignore_errors=True)
    packages = LOCK_FILE.read_text(encoding="utf-8").count("==")
    with progress(_TITLE, total=packages + _INSTALL_STEPS) as advance:
        _run([sys.executable, "-m", "venv", *([] if not _has_pip() else ["--without-pip"]), str(partial)])
        for _ in _installed(python_in(partial)):
            advance()
        advance(_INSTALL_STEPS)
    for pages in partial.glob("lib/python*/site-packages/argilla_server/static"):
        # Where the server does not find its pages it serves none, and the appliance serves a changed copy.
        os.replace(pages, partial / "stock-pages")
    os.replace(partial, final)


_INSTALL_STEPS = 20
"""Steps of the bar for unpacking, which pip reports as one line."""


def _has_pip() -> bool:
    from importlib.util import find_spec

    return find_spec("pip") is not None


def _installed(python: Path) -> Iterator[str]:
    """Runs pip, which keeps the user's own settings (index, proxy, certificates); yields once per package it takes up."""
    pip = [sys.executable, "-m", "pip", "--python", str(python)] if _has_pip() else [str(python), "-m", "pip"]
    command = [*pip, "install", "--require-hashes", "--no-deps", "--no-compile", "--no-input", "--progress-bar", "off",
               "--disable-pip-version-check", "--no-warn-script-location", "--only-binary", ":all:", "-r", str(LOCK_FILE)]
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            if line.startswith("Collecting "):
                yield line
    if process.returncode:
        raise MissingPart(_explained(lines))


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise MissingPart(_explained((done.stdout + done.stderr).splitlines()))


def _explained(lines: list[str]) -> str:
    tail = "\n".join(f"  {line}" for line in lines[-8:])
    return (f"The Argilla server could not be installed into {folder().parent}; pip ended with:\n{tail}\n"
            "It is needed once and comes from the Python package index that pip is configured for: check the network and run the "
            "command again, or set argilla.url in redpen.yaml to use a server that runs elsewhere.")
