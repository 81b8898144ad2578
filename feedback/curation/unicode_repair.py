"""Texts in sound Unicode: mojibake undone, lone surrogates and stray control characters removed, letters composed (NFC).

ftfy does the work, with everything switched off that would change what an author chose: quotes, ligatures, wide letters, line
ends and HTML stay.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any


def can_repair() -> bool:
    """ftfy can be imported."""
    return find_spec("ftfy") is not None


def repaired(text: str) -> str:
    """`text` as its author saw it. Sound text comes back as it is, apart from composed letters."""
    import ftfy

    return text if text.isascii() and text.isprintable() else ftfy.fix_text(text, _config())


@cache
def _config() -> Any:
    from ftfy import TextFixerConfig

    return TextFixerConfig(unescape_html=False, fix_latin_ligatures=False, fix_character_width=False, uncurl_quotes=False,
                           fix_line_breaks=False, normalization="NFC")
