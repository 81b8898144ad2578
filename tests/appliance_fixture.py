"""One real Argilla for all tests marked `argilla`: its own home, one start for the whole session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from review_ui.appliance.appliance import Running


@pytest.fixture(scope="session")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running appliance; tests keep apart by using workspaces of their own."""
    from review_ui.appliance.appliance import Appliance

    with Appliance(tmp_path_factory.mktemp("appliance") / "argilla") as running:
        yield running
