"""Argilla's own integration tests of its SDK, as they are, against the embedded Argilla.

    python -m tests.benchmarks.argilla_sdk_tests argilla-2.8.0/tests/integration --json

The folder comes with the SDK's source distribution, which the package index has as `argilla-2.8.0.tar.gz`. Nothing of it is
changed. A module that this environment cannot import is listed with the reason and is no failure; a failed test is one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from feedback.terminal import note, print_json
from review_ui.appliance.appliance import Appliance, Running


@dataclass(frozen=True)
class Outcome:
    """What became of their tests."""

    passed: int
    failed: tuple[str, ...]
    skipped: tuple[str, ...]
    """Name: reason."""
    not_imported: tuple[str, ...]
    """Module: the last line of the error."""


def run(folder: Path, running: Running, *, only: str) -> Outcome:
    """Their tests in a process of their own, without this project's settings of pytest."""
    with tempfile.TemporaryDirectory(prefix="redpen-sdk-") as scratch:
        report = Path(scratch) / "report.xml"
        # The SDK asks for nothing but these two; a key of the user's own must not lead elsewhere.
        environment = {**os.environ, "ARGILLA_API_URL": running.url, "ARGILLA_API_KEY": running.api_key, "HF_HUB_OFFLINE": "1"}
        options = ["-c", os.devnull, "--rootdir", str(folder), "-p", "no:cacheprovider", "--disable-warnings", "--tb=short", "-q",
                   "--continue-on-collection-errors", f"--junitxml={report}", *(["-k", only] if only else [])]
        subprocess.run([sys.executable, "-m", "pytest", *options, str(folder)], env=environment, cwd=scratch, stdout=sys.stderr,
                       check=False)
        return outcome(ElementTree.parse(report).getroot())


def outcome(report: ElementTree.Element) -> Outcome:
    """Sort a JUnit report; a case without a class is a module that could not be collected."""
    passed, failed, skipped, not_imported = 0, list[str](), list[str](), list[str]()
    for case in report.iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        problem = next((child for child in case if child.tag in {"failure", "error", "skipped"}), None)
        if problem is None:
            passed += 1
        elif not case.get("classname"):
            not_imported.append(f"{case.get('name')}: {(problem.text or '').strip().splitlines()[-1]}")
        elif problem.tag == "skipped":
            skipped.append(f"{name}: {problem.get('message')}")
        else:
            failed.append(name)
    return Outcome(passed, tuple(failed), tuple(skipped), tuple(not_imported))


def measure(folder: Path, *, only: str = "") -> dict[str, Any]:
    """A fresh appliance, their tests on it, and what they said."""
    if not list(folder.glob("test_*.py")):
        sys.exit(f"{folder} holds no test_*.py; unpack argilla-2.8.0.tar.gz and name its tests/integration")
    with tempfile.TemporaryDirectory(prefix="redpen-benchmark-") as home, Appliance(Path(home) / "argilla") as running:
        return asdict(run(folder.resolve(), running, only=only))


def main() -> int:
    """0 when nothing failed and something passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-k", dest="only", default="", help="only the tests that match, as pytest takes it")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = measure(arguments.folder, only=arguments.only)
    if arguments.json:
        print_json(found)
    else:
        note(f"{found['passed']} passed, {len(found['failed'])} failed, {len(found['skipped'])} skipped, "
             f"{len(found['not_imported'])} not imported")
        for kind in ("failed", "skipped", "not_imported"):
            for line in found[kind]:
                note(f"{kind}: {line}")
    return 0 if found["passed"] and not found["failed"] else 1


if __name__ == "__main__":
    sys.exit(main())
