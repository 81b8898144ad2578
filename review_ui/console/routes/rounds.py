"""The first page, with the rounds and the trend, and the reports that it links."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

from feedback.errors import NothingToDo
from review_ui.console.pages import rounds_page
from review_ui.console.reading import round_rows
from review_ui.console.reports import policy_for, report_page
from review_ui.console.templating import render

router = APIRouter()


@router.get("/")
def show_rounds(request: Request) -> Response:
    """Every round of the project, with its figures and its decision."""
    folder: Path = request.app.state.project_dir
    return render(request, rounds_page(folder.name, round_rows(folder)))


@router.get("/rounds/{number}/{step}")
def show_report(request: Request, number: int, step: str) -> Response:
    """The page that a step of a round left; 404 when it left none."""
    folder: Path = request.app.state.project_dir
    try:
        page = report_page(folder, number, step)
    except NothingToDo as missing:
        raise HTTPException(status_code=404, detail=str(missing)) from None
    return HTMLResponse(page, headers={"Content-Security-Policy": policy_for(page)})
