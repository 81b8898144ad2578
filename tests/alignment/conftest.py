"""Nothing that these tests compute lands in the user's cache."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Reference log-probabilities and hashes of big files are kept in a folder that goes with the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDPEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
