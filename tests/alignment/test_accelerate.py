"""Two processes under the shipped accelerate configurations train what one trains: the same losses, the same adapter in both."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import configs
from sft.adapters import WEIGHTS
from tests.rows import example, pair, training_sets

ROOT = Path(configs.__file__).parent / "accelerate"
STAGES = ("sft", "trl", "ranked")
SECONDS = 600
"""Given to the processes on a busy machine; alone they take about ten."""


def settings_of(name: str) -> dict[str, str]:
    """What accelerate's own launcher puts into the environment of the processes for this file."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    given, _, _ = _validate_launch_command(launch_command_parser().parse_args(["--config_file", str(ROOT / name), "x.py"]))
    made = prepare_multi_gpu_env(given)
    return {key: value for key, value in made.items() if key.startswith(("ACCELERATE_", "FSDP_"))}


def run(base: Path, sets: Path, folder: Path, *, processes: int, config: str) -> list[dict[str, dict[str, torch.Tensor]]]:
    """Train in so many processes; the adapters of all stages as each of them has them."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    alone = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "GLOO_SOCKET_IFNAME": "lo"}
    group = settings_of(config) | {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-W", "ignore", "-m", "tests.alignment.accelerated", base, sets, folder, str(8 // processes)]
    ranks = []
    for rank in range(processes):
        own = group | {"RANK": str(rank), "LOCAL_RANK": str(rank)} if processes > 1 else {}
        with (folder / f"rank{rank}.log").open("w") as log:
            ranks.append(subprocess.Popen(command, stdout=log, stderr=log, env=alone | own))
    try:
        codes = [rank.wait(timeout=SECONDS) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()
    assert codes == [0] * processes, "\n".join(path.read_text()[-3000:] for path in sorted(folder.glob("rank*.log")))
    return [torch.load(folder / f"rank{rank}.pt") for rank in range(processes)]


def losses(out: Path) -> list[float]:
    rows = [json.loads(line) for line in (out / "logs" / "curve.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [example(f"q{i}", "yes" * (1 + i % 3)) for i in range(24)]
    return training_sets(tmp_path_factory.mktemp("sets") / "03", examples=rows,
                         pairs=[pair(f"q{i}", "yes it is", "no") for i in range(24)])


@pytest.fixture(scope="module")
def alone(base: Path, sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one process has trained every stage."""
    folder = tmp_path_factory.mktemp("alone") / "one"
    run(base, sets, folder, processes=1, config="ddp.yaml")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("config", ["ddp.yaml", "fsdp.yaml"])
def test_two_processes_train_what_one_trains(base, sets, alone, tmp_path, config):
    first, second = run(base, sets, tmp_path / "two", processes=2, config=config)
    one = torch.load(alone / "rank0.pt")
    for stage in STAGES:
        assert losses(tmp_path / "two" / stage) == pytest.approx(losses(alone / stage), abs=2e-5)
        assert all(torch.equal(weight, second[stage][name]) for name, weight in first[stage].items())
        assert max(float((weight - one[stage][name]).abs().max()) for name, weight in first[stage].items()) < 1e-4
        assert any(float(weight.abs().max()) > 0 for name, weight in one[stage].items() if "lora_B" in name)
        assert load_file(tmp_path / "two" / stage / "adapter" / WEIGHTS).keys() == one[stage].keys()


def test_the_launcher_reads_each_file_as_it_is_meant() -> None:
    assert "ACCELERATE_USE_FSDP" not in settings_of("ddp.yaml")
    spread = settings_of("fsdp.yaml")
    assert (spread["ACCELERATE_USE_FSDP"], spread["FSDP_VERSION"], spread["FSDP_AUTO_WRAP_POLICY"]) == (
        "true", "2", "TRANSFORMER_BASED_WRAP")
