"""Ratings files as spreadsheets save them."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedback.aggregation.ratings_file import read_gold_file, read_ratings_file
from feedback.errors import InvalidInput, NothingToDo


def saved(folder: Path, text: str | bytes) -> Path:
    path = folder / "ratings.CSV"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def test_a_spreadsheet_is_read_with_its_byte_order_mark_and_quoted_commas(tmp_path: Path) -> None:
    path = saved(tmp_path, '\ufeffreviewer,value,item\r\n"Ünï, 評価者",yes,a\r\nbo,no,"a"\r\n')
    assert read_ratings_file(path).values == {("a", "Ünï, 評価者"): "yes", ("a", "bo"): "no"}


def test_values_are_numbers_where_all_are_and_labels_otherwise(tmp_path: Path) -> None:
    assert read_ratings_file(saved(tmp_path, "item,reviewer,value\na,x,5\na,y,3\n")).scale == (3, 4, 5)
    assert read_ratings_file(saved(tmp_path, "item,reviewer,value\na,x,5\na,y,n/a\n")).scale == ("5", "n/a")
    assert read_gold_file(saved(tmp_path, "item,value\na,4.0\n")) == {"a": 4}


@pytest.mark.parametrize(("text", "said"), [
    ("item;reviewer;value\na;x;5\n", r":1: the columns are 'item;reviewer;value'; the first line must be item,reviewer,value"),
    ("item,value\na,5\n", r":1: the columns are 'item', 'value'; the first line must be item,reviewer,value"),
    ("", r":1: the columns are none"), ("item,reviewer,value\na,x,nan\n", r":2: value: found nan; use a number on a scale"),
    ("item,reviewer,value\na,x\n", r":2: value: found None"), ("item,reviewer,value\na,x,,\n", r":2: "),
    ("item,reviewer,value\na,x,1e400\n", r":2: value: found inf"), ('item,reviewer,value\na,"x,5\n', r":2: not CSV"),
    (b"item,reviewer,value\na,\xe9,5\n", r"not UTF-8 \(byte 22\); save the file as CSV UTF-8")])
def test_what_is_no_rating_is_named_by_its_line(text: str | bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_ratings_file(saved(tmp_path, text))


def test_a_header_alone_is_nothing_to_do(tmp_path: Path) -> None:
    with pytest.raises(NothingToDo, match="no ratings in it"):
        read_ratings_file(saved(tmp_path, "item,reviewer,value\n"))
