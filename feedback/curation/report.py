"""The report of a curation as one HTML page, which loads nothing from anywhere and runs no script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from feedback.curation.ledger import Changed, CurationCard, Dropped, Example, Flagged

MOST_ROWS = 200
"""Rows of a list that the page shows; all of them are in the JSONL files beside it."""


def report_page(card: CurationCard, dropped: Sequence[Dropped], changed: Sequence[Changed], flagged: Sequence[Flagged],
                examples: Sequence[Example]) -> str:
    """The page. The same curation gives the same bytes."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    pages = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    tables = [("Dropped", card.dropped, "Nothing was dropped."), ("Changed", card.changed, "Nothing was changed."),
              ("Pointed out", card.flagged, "Nothing was pointed out.")]
    files: dict[str, list[tuple[Dropped | Changed | Flagged, str]]] = {
        "dropped": [(row, row.reason) for row in dropped],
        "changed": [(row, row.detail) for row in changed],
        "flagged": [(row, row.reason) for row in flagged]}
    lists = [(f"Rows in {name}.jsonl", rows[:MOST_ROWS], max(0, len(rows) - MOST_ROWS)) for name, rows in files.items()]
    page = pages.get_template("report.html").render(card=card, tables=tables, lists=lists, examples=examples)
    return page.encode("utf-8", "replace").decode("utf-8")
