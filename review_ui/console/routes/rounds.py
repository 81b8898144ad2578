"""The first page: the rounds and the trend."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response

from review_ui.console.pages import rounds_page
from review_ui.console.reading import round_rows
from review_ui.console.templating import render

router = APIRouter()


@router.get("/")
def show_rounds(request: Request) -> Response:
    """Every round of the project, with its figures and its decision."""
    folder: Path = request.app.state.project_dir
    return render(request, rounds_page(folder.name, round_rows(folder)))
