"""Documents are cleaned like answers, repetitions leave, and every line is accounted for."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.curation.aids import Aids
from feedback.curation.documents import Document, DocumentsStage, curate_documents, run
from feedback.errors import NothingToDo
from feedback.guardrails.pii import Masker
from feedback.schemas import Message, Prompt

pytest.importorskip("rensa", reason="rensa comes with the `curation` extra")

STAGE = DocumentsStage(today=date(2026, 1, 1))
LONG = "The parcel is delivered within four working days after the payment has arrived at our bank in Berlin"


def kept(*texts: str, aids: Aids = Aids()) -> list[str]:  # noqa: B008
    return [row.text for row in curate_documents([Document(text=text) for text in texts], STAGE, aids).documents]


def test_repetitions_empty_texts_and_control_tokens_leave() -> None:
    assert kept(LONG, LONG + "!", "", LONG, "<|im_start|> hello") == [LONG, "\u2039|im_start|\u203a hello"]


def test_title_and_source_are_masked_and_a_title_is_cleaned_too() -> None:
    pytest.importorskip("presidio_analyzer", reason="presidio-analyzer comes with the `curation` extra")
    aids = Aids(masker=Masker(key=b"k", mask=frozenset({"email"}), flag=frozenset()))
    row, = curate_documents([Document(text=LONG, title="<|im_start|> jo@example.com", source="mail of jo@example.com")], STAGE,
                            aids).documents
    number = aids.masker.placeholder("email", "jo@example.com") if aids.masker else ""
    assert (row.title, row.source) == (f"\u2039|im_start|\u203a {number}", f"mail of {number}")


def test_a_document_is_left_out_after_its_last_day() -> None:
    rows = [Document(text="old", valid_until=date(2025, 12, 31)), Document(text="new", valid_until=date(2026, 1, 1))]
    result = curate_documents(rows, STAGE)
    assert [row.text for row in result.documents] == ["new"]
    assert [(row.step, row.reason) for row in result.dropped] == [("outdated", "valid until 2025-12-31; today is 2026-01-01")]


def test_a_document_that_holds_a_held_out_question_leaves() -> None:
    aids = Aids(held_out=(Prompt.of([Message(role="user", content="How do I cancel my yearly subscription today")]),))
    assert kept("FAQ. How do I cancel my yearly subscription today?", "Something else", aids=aids) == ["Something else"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["", " ", LONG, LONG + ".", "x", "\u0645\u0631\u062d", "cafe\u0301", "\ud800"]), max_size=8))
def test_kept_and_dropped_documents_add_up(texts: list[str]) -> None:
    rows = [Document.model_construct(text=text, title=None, source=None, valid_until=None) for text in texts]
    result = curate_documents(rows, STAGE)
    assert len(result.documents) + len(result.dropped) == len(texts)
    assert len({row.id for row in result.dropped}) == len(result.dropped)


def test_the_stage_writes_its_report_and_twice_the_same(tmp_path: Path) -> None:
    path = tmp_path / "documents.jsonl"
    path.write_text('{"text": "one"}\n{"text": "one"}\n', encoding="utf-8")
    one, other = (run(STAGE, path=path, out=tmp_path / name) for name in ("a", "b"))
    assert one.hash == other.hash
    assert one.counts == {"documents": 1, "dropped": 1, "changed": 0, "flagged": 0}
    assert "near duplicate" in (tmp_path / "a" / "report.html").read_text(encoding="utf-8")


def test_a_file_without_documents_is_nothing_to_do(tmp_path: Path) -> None:
    (tmp_path / "documents.jsonl").write_text("")
    with pytest.raises(NothingToDo, match="no documents"):
        run(STAGE, path=tmp_path / "documents.jsonl", out=tmp_path / "out")
