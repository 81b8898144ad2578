"""JSON Lines that people hand in: what is wrong with a line is told by file and number, and nothing else is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedback.errors import InvalidInput
from feedback.jsonl import numbered_values, raise_problems


def values(path: Path, content: bytes) -> list[object]:
    path.write_bytes(content)
    problems: list[str] = []
    found = [value for _, value in numbered_values(path, problems)]
    raise_problems(problems)
    return found


def test_a_file_of_another_systems_editor_is_read(tmp_path: Path) -> None:
    found = values(tmp_path / "a.jsonl", b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": "\\ud83d\\ude00"}\r\n')
    assert found == [{"a": 1}, {"a": "\U0001f600"}]


@pytest.mark.parametrize(("line", "problem"), [
    (b'{"a": "\\ud800"}', "half of a character"), (b"[" * 100_000, "too deep"),
    (b'{"a": ' + b"9" * 5_000 + b"}", "too many digits"),
    (b'{"a": "\xff"}', "not UTF-8"), (b"item,value", "not JSON"), (b'{"a": "\x00"}', "not JSON")])
def test_a_line_that_no_json_reader_takes_whole_is_named(line: bytes, problem: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=rf"a\.jsonl:2: .*{problem}"):
        values(tmp_path / "a.jsonl", b'{"a": 1}\n' + line)


def test_a_folder_is_no_file_of_lines(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="expected a file of one JSON object per line"):
        list(numbered_values(tmp_path, []))


def test_of_very_many_bad_lines_a_hundred_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        values(tmp_path / "a.csv", b"item,reviewer,value\n" * 5_000)
    assert len(caught.value.problems) == 101
    assert caught.value.problems[-1] == "... and 4900 more"
