"""The stock server with a search engine that does nothing: what ingest and saves take without any of Redpen's work."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from review_ui.appliance import environment, supervisor
from review_ui.appliance.appliance import _valkey
from tests.benchmarks.appliance_home import sentences
from tests.benchmarks.crowd import PEOPLE, SAVES, together
from tests.benchmarks.timing import rounded, seconds, timed
from tests.review_ui.appliance.desk import Desk

RECORDS = 1_000


def measure(home: Path) -> dict[str, Any]:
    """Ingest through the SDK's route, one save, and ten people's."""
    with served(home) as desk:
        dataset = desk.dataset(wanted=3)
        people = [desk.reviewer(dataset) for _ in range(PEOPLE)]
        rows = [{"external_id": f"r{place}", "fields": {"prompt": text}}
                for place, text in enumerate(sentences(RECORDS, np.random.default_rng(2)))]
        ids: list[str] = []

        def put() -> None:
            for start in range(0, RECORDS, 256):
                made = desk.call("PUT", f"datasets/{dataset.id}/records/bulk", json={"items": rows[start:start + 256]})
                ids.extend(one["id"] for one in made["items"])

        rate = RECORDS / seconds(put)
        one = timed("one save", lambda place: people[0].answer(ids[PEOPLE * SAVES + place]), wanted=None)
        crowd, saves = together(people, [ids[place * SAVES:(place + 1) * SAVES] for place in range(PEOPLE)])
    return {"requests": rounded([one, crowd]), "saves_a_second": saves, "ingested_a_second": rate}


@contextmanager
def served(home: Path) -> Iterator[Desk]:
    """The owner's desk on a stock server of its own."""
    home.mkdir(parents=True)
    python = environment.ensure()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    redis = f"{home}/valkey.sock"
    commands = ([_valkey(python), "--port", "0", "--unixsocket", redis, "--save", "", "--dir", str(home)],
                [str(python), "-s", str(Path(__file__).with_name("stock_server.py")), str(home), str(port), f"unix://{redis}"])
    variables = {**supervisor.inside_variables(), "PYTHONPATH": str(Path(supervisor.__file__).parent)}
    with ExitStack() as stack, (home / "log").open("wb") as log:
        for command in commands:
            stack.callback(_end, subprocess.Popen(command, env=variables, stdout=log, stderr=log))
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120))
        _wait(client, home / "log")
        owner = json.loads((home / "owner.json").read_text(encoding="utf-8"))
        yield Desk(client, {"X-Argilla-Api-Key": owner["api_key"]})


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


def _wait(client: httpx.Client, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if client.get("/api/v1/status").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the stock server did not start: {log.read_text(errors='replace')[-2000:]}")
