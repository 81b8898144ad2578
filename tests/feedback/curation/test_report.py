"""The report stands alone, shows text as text, and hides nothing that was counted."""

from __future__ import annotations

import re

from feedback.curation.ledger import Changed, Dropped, Example, Flagged, Ledger
from feedback.curation.report import MOST_ROWS, report_page

EVIL = '<script>alert(1)</script>" onload="x'


def page(count: int = 1, text: str = EVIL) -> str:
    ledger = Ledger()
    for at in range(count):
        ledger.drop("prompt", f"prompt-{at}", step="empty", reason=text)
    card = ledger.card(read={"prompts": count}, kept={"prompts": 0}, masked={"email": 2}, said=(text,))
    return report_page(card, [Dropped(kind="prompt", id=f"prompt-{at}", step="empty", reason=text) for at in range(count)],
                       [Changed(kind="completion", id="c", step="terminology", detail=text)],
                       [Flagged(kind="completion", id="c", step="moderation", reason=text)],
                       [Example(step="unicode", kind="completion", id="c", before=text, after=text)])


def test_texts_are_shown_and_never_run() -> None:
    made = page()
    assert "<script" not in made
    assert made.count("&lt;script&gt;") == 6


def test_rows_that_were_changed_are_listed_with_what_was_done() -> None:
    assert "Rows in changed.jsonl" in page()
    assert '<td>terminology</td><td class="text" dir="auto">email -&gt; e-mail</td>' in page(text="email -> e-mail")


def test_nothing_is_loaded_from_anywhere() -> None:
    assert re.findall(r"(?:src|href|url)\s*[=(]", page()) == []
    assert "default-src 'none'" in page()


def test_every_count_is_there_and_a_long_list_says_what_it_left_out() -> None:
    assert "email 2" in page()
    assert f"And {7} more in the file" in page(MOST_ROWS + 7)


def test_a_lone_surrogate_does_not_break_the_page() -> None:
    assert page(text="\ud800 \u202e\u05d0").encode("utf-8")
