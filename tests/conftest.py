"""What every test may use: a tiny base model, built once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny import tiny_base


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base model's folder; tests do not write into it."""
    return tiny_base(tmp_path_factory.mktemp("base"))
