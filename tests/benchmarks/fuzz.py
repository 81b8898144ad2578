"""Schemathesis over the embedded Argilla's OpenAPI: every answer of 500 and more, and whether our code had a part in it.

    python -m venv fuzz && fuzz/bin/pip install schemathesis
    python -m tests.benchmarks.fuzz fuzz/bin/st --examples 20 --json

The owner asks everything, so that nothing is hidden behind a refusal; people and the owner's own account are not deleted. An
error is `ours` when a frame of `review_ui/appliance/inside` stands in the traceback that the server's log has for it, beside
frames that every request passes (`BETWEEN`). The rest are the stock server's. Exit code 0 when none is ours.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from feedback.terminal import note, print_json
from review_ui.appliance.appliance import Appliance, Running
from tests.review_ui.appliance.conftest import owner_of
from tests.review_ui.appliance.desk import Desk

BETWEEN = ("durability.py", "courtesy.py", "pages.py", "signing_in.py", "bodies.py", "trimming.py", "server.py", "full_disk.py",
           "driver.py")
"""Middleware, the loop and SQLite's driver: they pass on whatever goes through them."""
REFUSED = ("fastapi.exceptions.RequestValidationError", "json.decoder.JSONDecodeError")
"""Logged with a traceback, and answered with 422."""
_TRACE = re.compile(r"^Traceback \(most recent call last\):\n(?:^[ +|].*\n|^\n)*^(\S+.*)$", re.MULTILINE)
_FRAME = re.compile(r'File "[^"]*/inside/(\w+\.py)", line (\d+), in (\w+)')


def fuzz(program: Path, running: Running, report: Path, *, examples: int, seconds: int) -> None:
    """One run of Schemathesis; its own report of failures goes to `report`."""
    subprocess.run([str(program), "run", f"{running.url}/api/v1/openapi.json",
                    "--header", f"X-Argilla-Api-Key: {running.api_key}", "--checks", "not_a_server_error", "--seed", "0",
                    "--max-examples", str(examples), "--max-time", str(seconds),
                    "--continue-on-failure", "--exclude-path-regex", "/(users|me|token)", "--phases", "fuzzing,stateful",
                    "--no-color", "--report-ndjson-path", str(report)], stdout=sys.stderr, check=False)


def prepare(desk: Desk) -> None:
    """Something to find."""
    dataset = desk.dataset([{"external_id": f"r{n}", "fields": {"prompt": f"question {n}"}} for n in range(20)], wanted=2)
    for person in (desk.reviewer(dataset), desk.reviewer(dataset)):
        for record in desk.call("GET", f"datasets/{dataset.id}/records")["items"][:5]:
            person.answer(record["id"])


def failures(report: Path) -> Counter[str]:
    """Operation and status of every answer of 500 or more."""
    found: Counter[str] = Counter()
    for line in report.read_text(encoding="utf-8").splitlines():
        for case in _cases(json.loads(line)):
            if (status := case.get("response", {}).get("status_code", 0)) >= 500:
                request = case["request"]
                path = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", httpx.URL(request["uri"]).path)
                found[f"{request['method']} {path}: {status}"] += 1
    return found


def _cases(node: Any) -> list[dict[str, Any]]:
    """Everything in an event that has a request and a response."""
    if isinstance(node, dict):
        own = [node] if isinstance(node.get("response"), dict) and isinstance(node.get("request"), dict) else []
        return own + [case for value in node.values() for case in _cases(value)]
    return [case for value in node for case in _cases(value)] if isinstance(node, list) else []


def causes(log: str) -> tuple[Counter[str], Counter[str]]:
    """(ours, the stock server's): last line of each traceback in the log, with our frames where there are any."""
    ours, stock = Counter[str](), Counter[str]()
    for trace in _TRACE.finditer(log):
        frames = [f"{name}:{line} {function}" for name, line, function in _FRAME.findall(trace[0]) if name not in BETWEEN]
        if not trace[1].startswith(REFUSED):
            (ours if frames else stock)[" < ".join([trace[1][:160], *frames[-2:]])] += 1
    return ours, stock


def main() -> int:
    """0 when no error is ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path, help="st of an environment with schemathesis")
    parser.add_argument("--examples", type=int, default=20, help="of each operation")
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="redpen-benchmark-") as folder:
        home, report = Path(folder) / "argilla", Path(folder) / "events.ndjson"
        with Appliance(home) as running, httpx.Client(base_url=running.url, timeout=120) as client:
            prepare(owner_of(running, client))
            fuzz(asked.program.absolute(), running, report, examples=asked.examples, seconds=asked.seconds)
        # A log that has grown was put aside, the oldest under the highest number.
        logs = sorted((home / "logs").glob("server.log*"), reverse=True)
        ours, stock = causes("".join(log.read_text(encoding="utf-8", errors="replace") for log in logs))
        found = {"failures": dict(failures(report).most_common()), "ours": dict(ours), "stock": dict(stock)}
    if asked.json:
        print_json(found)
    else:
        for kind, counted in found.items():
            for name, count in counted.items():
                note(f"{kind}: {count} x {name}")
    return 1 if found["ours"] else 0


if __name__ == "__main__":
    sys.exit(main())
