"""Is the console up?"""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter

router = APIRouter()


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """Answers without reading the project, so that a broken project file does not look like a dead console."""
    return {"status": "ok", "version": version("redpen-rlhf")}
