"""What curation needs beside the snapshot: who masks, the house's words, and what must not be trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from feedback.config import CurationConfig
from feedback.curation.terminology import Terminology, read_terminology
from feedback.curation.unicode_repair import can_repair
from feedback.errors import MissingPart
from feedback.guardrails.masking import masked_prompt
from feedback.guardrails.pii import KEY_FILE, Masker, make_masker, project_key, why_none
from feedback.guardrails.recognizers import INSTALL
from feedback.ids import content_hash
from feedback.schemas import Prompt

NO_PROJECT_KEY = b"redpen: no project, no key"


@dataclass(frozen=True)
class Aids:
    """Nothing is masked, no term known and nothing held out unless it is given."""

    masker: Masker | None = None
    terminology: Terminology | None = None
    held_out: tuple[Prompt, ...] = ()
    """Questions that judge candidates: those of held-out families, the critical ones among them."""
    said: tuple[str, ...] = ()
    """What a person should know about what could not be done."""

    @property
    def held_out_as_sealed(self) -> tuple[Prompt, ...]:
        """What is held out, and once more with personal data masked, as it stands in the rows of a masked snapshot."""
        if (masker := self.masker) is None:
            return self.held_out
        masked = [masked_prompt(prompt, lambda text: masker(text).text) for prompt in self.held_out]
        return (*self.held_out, *(twin for prompt, twin in zip(self.held_out, masked, strict=True) if twin != prompt))

    @property
    def hashes(self) -> dict[str, str]:
        """Name of each -> its hash, for the manifest."""
        terms = self.terminology.model_dump(mode="json") if self.terminology else None
        return {"pii": content_hash("pii", self.masker.name if self.masker else None),
                "terminology": content_hash("terminology", terms),
                "held_out": content_hash("prompts", sorted({prompt.id for prompt in self.held_out}))}


def gather_aids(config: CurationConfig, *, project: Path | None, held_out: Sequence[Prompt] = (), writes: bool = True) -> Aids:
    """What a project's configuration asks for. Without a project placeholders come from a key that everybody knows, and so do
    those of a dry run (`writes` is false) where the project has no key yet.

    Raises MissingPart when personal data must be masked and the packages for it are missing, InvalidInput for a bad file.
    """
    reason = why_none(config.pii)
    masks = config.pii.look != "off" and reason is None
    masker = make_masker(config.pii, _key(project, writes=writes)) if masks else None
    terms = read_terminology((project or Path()) / config.terminology) if config.terminology else None
    if config.languages and config.language != "off" and find_spec("py3langid") is None:
        raise MissingPart(f"curation.languages: py3langid is not installed; {INSTALL}, or leave curation.languages empty")
    said = [reason] if reason else []
    if masker and not project:
        said.append("placeholders come from a key that everybody knows: the snapshot lies in no project")
    if config.repair_unicode and not can_repair():
        said.append(f"Unicode was not repaired: ftfy is not installed; {INSTALL}")
    return Aids(masker=masker, terminology=terms, held_out=tuple(held_out), said=tuple(said))


def _key(project: Path | None, *, writes: bool) -> bytes:
    return project_key(project) if project and (writes or (project / KEY_FILE).exists()) else NO_PROJECT_KEY
