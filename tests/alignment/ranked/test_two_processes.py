"""Two processes with half a batch each do what one does with the whole."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SECONDS = 600
"""Given to each process on a busy machine; alone it takes ten."""


def run(folder: Path, *, processes: int, batch: int) -> dict:
    """Train in that many processes and read what rank 0 wrote."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    alone = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "GLOO_SOCKET_IFNAME": "lo"}
    group = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-W", "ignore", "-m", "tests.alignment.ranked.two_processes", str(folder), str(batch)]
    logs = [folder / f"rank{rank}.log" for rank in range(processes)]
    ranks = []
    for rank, log in enumerate(logs):
        own = group | {"RANK": str(rank), "LOCAL_RANK": str(rank)} if processes > 1 else {}
        with log.open("w") as file:
            ranks.append(subprocess.Popen(command, stdout=file, stderr=file, env=alone | own))
    try:
        codes = [rank.wait(timeout=SECONDS) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()
    assert codes == [0] * processes, "\n".join(log.read_text() for log in logs)
    return torch.load(folder / "result.pt")


@pytest.mark.slow
def test_two_processes_with_half_a_batch_each_train_as_one_does(tmp_path):
    one, two = run(tmp_path / "one", processes=1, batch=4), run(tmp_path / "two", processes=2, batch=2)
    assert (one["processes"], two["processes"]) == (1, 2)
    assert two["loss"] == pytest.approx(one["loss"], abs=1e-6)
    assert two["margin"] == pytest.approx(one["margin"], abs=1e-4)
    assert max((one["weights"][name] - two["weights"][name]).abs().max().item() for name in one["weights"]) < 1e-4
