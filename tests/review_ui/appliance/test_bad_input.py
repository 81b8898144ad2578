"""What goes wrong around the server, and what is sent to it that nobody should send: a clear answer, and nothing lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from feedback.errors import InvalidInput
from review_ui.appliance.appliance import Appliance
from tests.review_ui.appliance.conftest import owner_of
from tests.review_ui.appliance.desk import Dataset, Desk, between, text


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 60 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system of a known size can be mounted here (it takes root)")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def leave_free(disk: Path, count: int) -> Path:
    """A file that fills the disk but for so many bytes."""
    filler, room = disk / "filler", os.statvfs(disk)
    filler.write_bytes(b"x" * (room.f_bavail * room.f_frsize - count))
    return filler


def sent(desk: Desk, dataset: Dataset, name: str, words: str) -> httpx.Response:
    item = {"external_id": name, "fields": {"prompt": words}}
    return desk.ask("POST", f"datasets/{dataset.id}/records/bulk", json={"items": [item]})


def raw(desk: Desk, path: str, body: bytes) -> httpx.Response:
    """A body as it is, which no well-behaved client would send."""
    return desk.client.post(f"/api/v1/{path}", content=body, headers={**desk.credentials, "Content-Type": "application/json"})


def test_on_a_full_disk_saves_are_refused_reading_goes_on_and_space_mends_it(small_disk: Path) -> None:
    home = small_disk / "argilla"
    with Appliance(home) as running, httpx.Client(base_url=running.url, timeout=60) as client:
        desk = owner_of(running, client)
        dataset = desk.dataset()
        filler = leave_free(small_disk, 600_000)
        kept, refused = [], None
        for name in map(str, range(60)):
            refused = sent(desk, dataset, name, "word " * 20_000)
            if not refused.is_success:
                break
            kept.append(name)
        assert refused is not None
        assert refused.status_code == 507
        assert f"The disk that holds {home} is full" in refused.json()["detail"]
        assert desk.search(dataset) == (kept, len(kept))
        assert client.get("/healthz").json()["disk"] is False
        filler.unlink()
        assert sent(desk, dataset, "after", "there is space").is_success
        assert desk.search(dataset, query=text("space")) == (["after"], 1)
    with closing(sqlite3.connect(home / "argilla.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_home_that_cannot_be_written_is_refused_before_anything_starts(small_disk: Path) -> None:
    (small_disk / "argilla").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for home in (small_disk / "argilla", small_disk / "new"):
        with pytest.raises(InvalidInput, match=r"cannot be written \(Read-only file system\)"):
            Appliance(home).start()


def test_a_record_of_five_megabytes_is_kept_and_found(desk: Desk) -> None:
    words = "word " * 1_000_000 + "needle"
    dataset = desk.dataset([{"external_id": name, "fields": {"prompt": text}} for name, text in (("big", words), ("small", "a"))])
    assert desk.search(dataset, query=text("needle")) == (["big"], 1)
    (found,) = desk.call("POST", f"datasets/{dataset.id}/records/search", json={"query": text("needle")})["items"]
    assert found["record"]["fields"]["prompt"] == words


@pytest.mark.parametrize("item", [b'{"fields": {"prompt": "\xff\xfe"}}', b'{"fields": {"prompt": "\\ud800"}}',
                                  b'{"fields": {"prompt": "a"}, "external_id": "\\uDFFF"}', b"\x80", b"{",
                                  b'{"fields": {"prompt": "a"}, "metadata": {"share": NaN}}'])
def test_what_is_no_unicode_or_no_number_is_refused_and_nothing_of_it_is_kept(desk: Desk, item: bytes) -> None:
    dataset = desk.dataset()
    answer = raw(desk, f"datasets/{dataset.id}/records/bulk", b'{"items": [%b]}' % item)
    assert 400 <= answer.status_code < 500, answer.text
    assert desk.search(dataset) == ([], 0)


def test_whole_characters_and_the_word_nan_are_kept_as_they_are(desk: Desk) -> None:
    words = b'{"items": [{"external_id": "r", "fields": {"prompt": "\\ud83d\\ude00 NaN Infinity \\\\ud800"}}]}'
    dataset = desk.dataset()
    assert raw(desk, f"datasets/{dataset.id}/records/bulk", words).json()["items"][0]["fields"] == {
        "prompt": "\N{GRINNING FACE} NaN Infinity \\ud800"}


@pytest.mark.parametrize("query", [b"\\ud800", b"\\u0000", b"a\\u0000b", b'\\"', b"a" * 10_000, b"( " * 3_000])
def test_a_hostile_query_is_answered_over_http(desk: Desk, query: bytes) -> None:
    dataset = desk.dataset([{"external_id": "r", "fields": {"prompt": "plain"}}])
    answer = raw(desk, f"datasets/{dataset.id}/records/search", b'{"query": {"text": {"q": "%b"}}}' % query)
    assert answer.status_code < 500, answer.text


@pytest.mark.parametrize("vector", [b"[]", b"[1.0]", b"[1.0, 2.0, 3.0]", b'["a", "b"]', b"[Infinity, 1.0]"])
def test_a_vector_that_does_not_fit_is_refused_with_its_record(desk: Desk, vector: bytes) -> None:
    dataset = desk.dataset()
    body = b'{"items": [{"fields": {"prompt": "a"}, "vectors": {"meaning": %b}}]}' % vector
    answer = raw(desk, f"datasets/{dataset.id}/records/bulk", body)
    assert 400 <= answer.status_code < 500, answer.text
    assert desk.search(dataset) == ([], 0)


@pytest.mark.parametrize("offset", [2**63 - 1, 2**63, 2**70])
def test_a_page_beyond_every_number_is_empty(desk: Desk, offset: int) -> None:
    dataset = desk.dataset([{"external_id": "r", "fields": {"prompt": "a"}, "metadata": {"length": 3}}])
    assert desk.search(dataset, offset=offset) == ([], 1)
    assert desk.search(dataset, filters=[between("metadata", low=-offset, high=offset, metadata_property="length")]) == (["r"], 1)
    assert desk.search(dataset, filters=[between("metadata", low=offset, metadata_property="length")]) == ([], 0)
