"""A configuration says what it looks like it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedback.config import CurationConfig, read_yaml
from feedback.errors import InvalidInput


def a_file(folder: Path, text: str) -> Path:
    (folder / "curation.yaml").write_text(text, encoding="utf-8")
    return folder / "curation.yaml"


def test_off_and_no_are_words_and_true_and_false_are_not(tmp_path: Path):
    read = read_yaml(a_file(tmp_path, "pii: {look: off}\nlanguages: [no, en]\nrepair_unicode: false\n"), CurationConfig)
    assert (read.pii.look, read.languages, read.repair_unicode) == ("off", ("no", "en"), False)


def test_an_override_is_read_in_the_same_way(tmp_path: Path):
    read = read_yaml(a_file(tmp_path, "pii: {look: on}\n"), CurationConfig, ("pii.look=off", "repair_unicode=off"))
    assert (read.pii.look, read.repair_unicode) == ("off", False)


def test_what_is_no_yaml_names_the_line(tmp_path: Path):
    with pytest.raises(InvalidInput, match=r"curation\.yaml:3: not YAML"):
        read_yaml(a_file(tmp_path, "language: flag\npii: {look: off\n  - x: y: z\n"), CurationConfig)
