"""Pushing to the Hub, against a small real server: private unless asked, and never silently."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.feedback.training_sets.hub_server import TOKEN, Hub, hub
from tests.feedback.training_sets.test_export import training_sets

ROOT = Path(__file__).parents[3]


def push(folder: Path, *options: str, endpoint: str, token: str | None = TOKEN,
         **environment: str) -> subprocess.CompletedProcess[str]:
    """`redpen feedback export ... --to hub` in a process of its own, since the Hub's address is read at import."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    given |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    given |= environment | ({"HF_TOKEN": token} if token else {})
    return subprocess.run([sys.executable, "-m", "review_ui.cli", "feedback", "export", str(folder / "sets"), str(folder / "out"),
                           "--to", "hub", *options], cwd=ROOT, env=given, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with training sets in `sets`; each test writes to `out` of a copy."""
    return training_sets(tmp_path_factory.mktemp("hub")).parent


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    os.symlink(folder / "sets", tmp_path / "sets")
    return tmp_path


def test_a_push_is_private_and_holds_the_card_and_every_kind(own: Path) -> None:
    with hub() as server:
        result = push(own, "--repo", "team/verdicts", "--json", endpoint=server.address)
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout)["pushed"] == f"{server.address}/datasets/team/verdicts"
        assert server.private == {"team/verdicts": True}
        assert server.files["team/verdicts"].keys() >= {"README.md", "manifest.json", "data/sft.parquet", "data/kto.parquet"}
        assert server.files["team/verdicts"]["README.md"] == (own / "out" / "README.md").read_bytes()


def refused(server: Hub, result: subprocess.CompletedProcess[str], said: str) -> None:
    assert result.returncode == 1
    assert said in " ".join(result.stderr.split())
    assert server.files == {}


def test_without_a_token_nothing_is_written_or_pushed(own: Path) -> None:
    with hub() as server:
        refused(server, push(own, "--repo", "team/verdicts", endpoint=server.address, token=None), "no Hugging Face token")
        assert not (own / "out").exists()
        assert server.private == {}


def test_what_the_hub_refuses_is_told_and_the_export_stays(own: Path) -> None:
    with hub() as server:
        refused(server, push(own, "--repo", "team/verdicts", endpoint=server.address, token="hf_wrong"), "the Hub refused")
        assert (own / "out" / "manifest.json").exists()


def test_a_public_dataset_takes_nothing_private(own: Path) -> None:
    with hub() as server:
        server.private["team/verdicts"] = False
        refused(server, push(own, "--repo", "team/verdicts", endpoint=server.address), "is a public dataset; say --public")


def test_a_hub_out_of_reach_and_one_switched_off_are_told(own: Path) -> None:
    with hub() as server:
        address = server.address
    refused(server, push(own, "--repo", "team/verdicts", endpoint=address), "the Hub cannot be reached")
    offline = push(own, "--repo", "team/verdicts", endpoint=address, HF_HUB_OFFLINE="1")
    refused(server, offline, "HF_HUB_OFFLINE is set")


@pytest.mark.parametrize("options", [(), ("--repo", "verdicts"), ("--repo", "team/ver dicts")])
def test_a_repository_needs_a_whole_name(own: Path, options: tuple[str, ...]) -> None:
    result = push(own, *options, endpoint="http://127.0.0.1:9")
    assert result.returncode == (1 if options else 2)
    assert "OWNER/NAME" in result.stderr or "Repo id must" in result.stderr
    assert not (own / "out").exists()
