"""What every test may use, each made once: a tiny base model, a real Argilla."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from tests.appliance_fixture import appliance
from tests.tiny import tiny_base

__all__ = ["appliance", "base"]

# A time limit on single examples fails on a busy machine whatever the code does.
settings.register_profile("redpen", deadline=None)
settings.load_profile("redpen")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base model's folder; tests do not write into it."""
    return tiny_base(tmp_path_factory.mktemp("base"))
