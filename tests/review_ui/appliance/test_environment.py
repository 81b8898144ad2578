"""The environment's lock file and what happens when it cannot be created; the creation itself is in the `argilla` tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from feedback.errors import MissingPart
from review_ui.appliance import environment


def locked() -> dict[str, list[str]]:
    """Requirement -> its hashes."""
    found: dict[str, list[str]] = {}
    for line in environment.LOCK_FILE.read_text(encoding="utf-8").splitlines():
        if not line.startswith((" ", "#")):
            found[current := line.removesuffix(" \\")] = []
        elif "--hash=" in line:
            found[current].append(line.split("--hash=")[1].removesuffix(" \\"))
    return found


def test_every_package_is_pinned_with_hashes() -> None:
    assert len(locked()) > 50
    assert all("==" in name and hashes for name, hashes in locked().items())
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", digest) for hashes in locked().values() for digest in hashes)


def test_the_lock_file_names_no_package_host() -> None:
    text = environment.LOCK_FILE.read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text


@pytest.mark.parametrize(("package", "fixed"), [("starlette", (0, 49, 1)), ("python-jose", (3, 4))])
def test_packages_with_known_holes_are_past_them(package: str, fixed: tuple[int, ...]) -> None:
    [version] = [name.split("==")[1].split(" ")[0] for name in locked() if name.startswith(f"{package}==")]
    assert tuple(int(part) for part in version.split(".")) >= fixed


def test_a_creation_without_packages_says_what_to_do_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(MissingPart, match=r"(?s)could not be installed.*check the network.*argilla\.url"):
        environment.ensure(tmp_path)
    assert not environment.is_ready(tmp_path)
    assert [path.name for path in (tmp_path / "appliance").iterdir() if path.suffix not in {".lock", ".partial"}] == []
