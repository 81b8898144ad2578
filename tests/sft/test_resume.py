"""A killed training run, started again, ends with the bytes of a run that was left alone; several processes write one folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from feedback.lineage import read_manifest
from sft import train
from sft.config import LoraConfig, SftConfig
from sft.watching import last_checkpoint
from tests.rows import example, training_sets
from tests.tiny import tiny_config

ROOT = Path(__file__).parent.parent.parent
RUN = """
import sys
from pathlib import Path
from sft.train import SftStage, run
run(SftStage.model_validate_json(sys.argv[1]), training_sets=Path(sys.argv[2]), out=Path(sys.argv[3]))
"""


def stage(base: Path, **trainer: object) -> train.SftStage:
    return train.SftStage(model=tiny_config(base), lora=LoraConfig(r=4), sft=SftConfig(trainer=trainer))


def start(*command: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, start_new_session=True)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def test_a_run_killed_in_the_middle_and_started_again_ends_with_the_same_adapter(base, tmp_path):
    sets = training_sets(tmp_path / "sets", examples=[example(f"q{i}", "yes") for i in range(24)])
    config = stage(base, max_steps=120, save_steps=10)
    killed = start(sys.executable, "-c", RUN, config.model_dump_json(), str(sets), str(tmp_path / "killed"))
    scratch = tmp_path / "killed.partial" / "scratch"
    while last_checkpoint(scratch) is None and killed.poll() is None:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    _, errors = killed.communicate()
    assert killed.returncode == -signal.SIGKILL, errors.decode()
    assert last_checkpoint(scratch) is not None

    resumed = train.run(config, training_sets=sets, out=tmp_path / "killed")
    whole = train.run(config, training_sets=sets, out=tmp_path / "whole")
    assert resumed.outputs == whole.outputs
    assert resumed.hash == whole.hash


def test_half_a_checkpoint_is_never_resumed_from(tmp_path):
    for name in ("checkpoint-5", "checkpoint-20", "checkpoint-100"):
        (tmp_path / name).mkdir()
    assert last_checkpoint(tmp_path) is None
    for name in ("checkpoint-5", "checkpoint-20"):
        (tmp_path / name / "complete").touch()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-20"


def test_two_processes_train_one_adapter_and_the_first_writes_it(base, tmp_path):
    sets = training_sets(tmp_path / "sets", examples=[example(f"q{i}", "yes") for i in range(24)])
    config = stage(base, max_steps=4, learning_rate=1e-2)
    (tmp_path / "run.py").write_text(RUN)
    launched = start(sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(free_port()),
                     str(tmp_path / "run.py"), config.model_dump_json(), str(sets), str(tmp_path / "out"))
    _, errors = launched.communicate(timeout=240)
    assert launched.returncode == 0, errors.decode()[-2000:]
    manifest = read_manifest(tmp_path / "out")
    assert manifest.counts["steps"] == 4
    # Two processes with 12 rows each go through the 24 rows in every step.
    assert json.loads((tmp_path / "out" / "logs" / "curve.jsonl").read_text().splitlines()[-1])["epoch"] == 4
    assert not (tmp_path / "out.partial").exists()
