"""The console over HTTP: every page renders, nothing changes, and a browser is told to do nothing else."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from review_ui.console.app import create_app
from review_ui.console.pages import RoundRow
from review_ui.console.routes import rounds
from review_ui.project.init import create
from tests.review_ui.console.rows import judged, waiting


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return create(tmp_path / "desk").folder


@pytest.fixture
def client(project: Path) -> TestClient:
    return TestClient(create_app(project), base_url="http://127.0.0.1")


def shown_with(monkeypatch: pytest.MonkeyPatch, *rows: RoundRow) -> None:
    monkeypatch.setattr(rounds, "round_rows", lambda folder: rows)


def test_an_empty_project_has_a_page_that_says_what_to_do(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert "redpen round run" in answer.text


def test_looking_at_the_page_writes_nothing(project: Path, client: TestClient) -> None:
    before = sorted(project.rglob("*"))
    client.get("/")
    assert sorted(project.rglob("*")) == before


def test_the_console_says_that_it_is_up(client: TestClient) -> None:
    assert client.get("/healthz").json()["status"] == "ok"


def test_the_page_shows_figures_decisions_and_the_picture(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    shown_with(monkeypatch, judged(0), judged(1, shipped=True), waiting(2))
    page = client.get("/").text
    for expected in ("waiting: 163 reviews", "7 better, 2 worse", "promoted", "shipped", "10% to 30%, n = 300", "<desc"):
        assert expected in page


def test_every_picture_has_a_title_and_a_description_of_its_own(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    shown_with(monkeypatch, judged(0))
    page = client.get("/").text
    labelled = re.findall(r'role="img" aria-labelledby="(\S+) (\S+)"', page)
    assert len(labelled) == 3
    assert all(page.count(f'id="{name}"') == 1 for pair in labelled for name in pair)


def test_what_people_wrote_is_escaped(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    shown_with(monkeypatch, replace(judged(1), state="<script>alert(1)</script>"))
    assert "<script>" not in client.get("/").text


def left_by(project: Path, step: str, page: str) -> None:
    folder = project / "rounds" / "0001" / step
    folder.mkdir(parents=True)
    (folder / "report.html").write_text(page, encoding="utf-8")


def test_the_reports_of_a_rounds_steps_are_linked_and_shown_with_their_own_style_alone(project: Path, client: TestClient) -> None:
    style = "body { color: red }"
    left_by(project, "06_dpo", f"<style>{style}</style><h1>DPO</h1><script>alert(1)</script>")
    assert '<a href="/rounds/1/06_dpo">DPO</a>' in client.get("/").text
    answer = client.get("/rounds/1/06_dpo")
    assert "<h1>DPO</h1>" in answer.text
    policy = answer.headers["content-security-policy"]
    assert f"style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "script-src" not in policy


@pytest.mark.parametrize("path", ["/rounds/1/06_dpo", "/rounds/2/05_sft", "/rounds/1/..", "/rounds/1/..%2f..%2fredpen.yaml",
                                  "/rounds/1/05_sft.partial", "/rounds/-1/05_sft"])
def test_no_other_file_is_shown(project: Path, client: TestClient, path: str) -> None:
    left_by(project, "05_sft", "<h1>SFT</h1>")
    left_by(project, "05_sft.partial", "<h1>half</h1>")
    answer = client.get(path)
    assert answer.status_code in {200, 404}
    assert "<h1>SFT" not in answer.text
    assert "<h1>half" not in answer.text
    assert "kind: project" not in answer.text


@pytest.mark.parametrize("path", ["/", "/healthz", "/static/console.css", "/missing"])
def test_every_answer_carries_the_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'; img-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"


def test_the_page_needs_nothing_from_elsewhere_and_no_script(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    shown_with(monkeypatch, judged(0))
    page = client.get("/").text
    assert not re.search(r"<script|style=|\son\w+=", page)
    assert not re.search(r'(?:src|href)="(?!/static/|#)', page)
    for asset in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        assert client.get(asset).status_code == 200


def test_another_host_name_is_refused(project: Path) -> None:
    elsewhere = TestClient(create_app(project), base_url="http://rebound.example")
    assert elsewhere.get("/").status_code == 400


def test_a_project_that_cannot_be_read_is_told_with_file_and_key(project: Path, client: TestClient) -> None:
    (project / "redpen.yaml").write_text("kind: project\nmodell: {base: x}\n")
    answer = client.get("/")
    assert answer.status_code == 500
    assert "unknown key; did you mean `model`?" in answer.text.replace("&#39;", "'")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_console_only_reads(client: TestClient, method: str) -> None:
    assert client.request(method, "/").status_code == 405
