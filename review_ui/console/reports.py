"""The pages that a round's steps left beside their results: what curation changed, and how each training went."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from alignment.project import Project
from feedback.errors import NothingToDo
from review_ui.console.access import content_policy

FILE = "report.html"
NAMES = {"curated": "curation", "sft": "SFT", "dpo": "DPO", "reward": "reward model", "rl": "RL"}
"""What a step's folder is called on the page, where that differs."""
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ReportLink:
    """One step's page."""

    step: str
    """The folder, such as `06_dpo`."""
    name: str


def reports_of(round_folder: Path) -> tuple[ReportLink, ...]:
    """The finished steps of a round that left a page, in their order."""
    found = sorted(path.parent.name for path in round_folder.glob(f"*/{FILE}") if not path.parent.name.endswith(".partial"))
    return tuple(ReportLink(step, NAMES.get(kind := step.partition("_")[2], kind)) for step in found)


def report_page(project_dir: Path, number: int, step: str) -> str:
    """The page of a step, as it was written. Raises NothingToDo when there is none."""
    folder = Project.at(project_dir).round(number)
    if step not in {link.step for link in reports_of(folder)}:
        raise NothingToDo(f"round {number} has no report of {step!r}; the page of the rounds links those that there are")
    return (folder / step / FILE).read_text(encoding="utf-8")


def policy_for(page: str) -> str:
    """The Content-Security-Policy under which a report shows its own style, named by its hash, and nothing else."""
    hashes = [base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() for style in _STYLE.findall(page)]
    return content_policy(styles=" ".join(f"'sha256-{digest}'" for digest in hashes) or "'none'", images="'none'")
