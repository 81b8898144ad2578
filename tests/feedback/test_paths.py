"""The cache lies where the environment says."""

from __future__ import annotations

from pathlib import Path

from feedback.paths import cache_dir


def test_the_cache_is_redpens_own_else_the_users(monkeypatch):
    monkeypatch.setenv("REDPEN_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert cache_dir() == Path("/a")
    monkeypatch.delenv("REDPEN_CACHE")
    assert cache_dir() == Path("/b/redpen")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/c")
    assert cache_dir() == Path("/c/.cache/redpen")


def test_asking_for_the_cache_makes_no_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("REDPEN_CACHE", str(tmp_path / "none"))
    assert not cache_dir().exists()
