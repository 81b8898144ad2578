"""Templates: escaped, complete, and given one typed page each."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import ClassVar, Protocol

from fastapi import Request, Response
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from review_ui.console.pages import cell, short_policy

HERE = Path(__file__).parent
STATIC = HERE / "static"


class Page(Protocol):
    """A frozen value that one template shows."""

    template: ClassVar[str]


def render(request: Request, page: Page, *, status: int = 200) -> Response:
    """The page as HTML; its template sees it as `page`."""
    return _templates().TemplateResponse(request, page.template, {"page": page}, status_code=status)


@cache
def _templates() -> Jinja2Templates:
    # StrictUndefined: a name that a page does not have is an error in a test, not an empty place before a lead.
    environment = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"cell": cell, "short_policy": short_policy}
    return Jinja2Templates(env=environment)
