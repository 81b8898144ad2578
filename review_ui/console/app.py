"""The console: a web application over one project folder. It shows what the rounds left; it trains and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware

from feedback.errors import RedpenError
from review_ui.console.access import LOCAL_HOSTS, SecurityHeaders
from review_ui.console.pages import ProblemPage
from review_ui.console.routes import health, rounds
from review_ui.console.templating import STATIC, render


def create_app(project_dir: Path, *, allowed_hosts: Sequence[str] = LOCAL_HOSTS) -> FastAPI:
    """The console of the project in `project_dir`, which answers under these host names only."""
    app = FastAPI(title="Redpen", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.project_dir = project_dir.resolve()
    app.include_router(health.router)
    app.include_router(rounds.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(RedpenError, _show_problem)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts))
    app.add_middleware(SecurityHeaders)
    return app


def _show_problem(request: Request, error: Exception) -> Response:
    folder: Path = request.app.state.project_dir
    return render(request, ProblemPage(project=folder.name, problems=tuple(str(error).splitlines())), status=500)
