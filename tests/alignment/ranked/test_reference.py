"""The cache keeps what was computed, for whoever asks for exactly that, whatever happens to the writers."""

from __future__ import annotations

import multiprocessing
from array import array

import pytest

from alignment.ranked.reference import ReferenceCache, Scope, completion_key, tokenizer_hash
from tests.tiny import tiny_tokenizer

SCOPE = Scope(base="b", adapter="none", dtype="torch.float32", attention="split", tokenizer="t")
NUMBERS = array("f", [-1.5, -0.25])


def segments(cache: ReferenceCache):
    return sorted(cache.folder.glob("*.logps"))


def test_numbers_come_back_bit_for_bit_in_another_run(tmp_path):
    ReferenceCache(tmp_path, SCOPE).add({"k": NUMBERS, "long": array("f", [0.1] * 1000), "double": array("d", [0.1])})
    again = ReferenceCache(tmp_path, SCOPE)
    assert (again.get("k"), again.get("long"), again.get("double")) == (NUMBERS, array("f", [0.1] * 1000), array("d", [0.1]))


@pytest.mark.parametrize("change", [{"base": "c"}, {"adapter": "a"}, {"dtype": "torch.bfloat16"}, {"attention": "rows"},
                                    {"tokenizer": "u"}, {"engine": 2}])
def test_whatever_the_numbers_depend_on_names_another_scope(tmp_path, change):
    ReferenceCache(tmp_path, SCOPE).add({"k": NUMBERS})
    assert "k" not in ReferenceCache(tmp_path, SCOPE.model_copy(update=change))


def test_a_key_tells_apart_where_the_prompt_ends():
    assert completion_key([1, 2], [3]) != completion_key([1], [2, 3])
    assert completion_key([1, 2], [3]) == completion_key((1, 2), (3,))


def test_another_vocabulary_or_template_is_another_tokenizer():
    assert tokenizer_hash(tiny_tokenizer()) == tokenizer_hash(tiny_tokenizer())
    assert tokenizer_hash(tiny_tokenizer("{{ messages }}")) != tokenizer_hash(tiny_tokenizer())


def test_what_is_there_is_not_written_twice(tmp_path):
    cache = ReferenceCache(tmp_path, SCOPE)
    cache.add({"k": NUMBERS})
    cache.add({"k": array("f", [0.0])})
    assert (cache.get("k"), len(segments(cache))) == (NUMBERS, 1)


def test_a_damaged_segment_is_named_and_not_used(tmp_path, capsys):
    cache = ReferenceCache(tmp_path, SCOPE)
    cache.add({"k": NUMBERS})
    path = segments(cache)[0]
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    again = ReferenceCache(tmp_path, SCOPE)
    assert "k" not in again
    assert "damaged" in capsys.readouterr().err
    again.add({"k": NUMBERS})
    assert ReferenceCache(tmp_path, SCOPE).get("k") == NUMBERS


def test_a_writer_killed_in_the_middle_leaves_nothing_that_is_read(tmp_path):
    cache = ReferenceCache(tmp_path, SCOPE)
    (cache.folder / "abc.logps.123.partial").write_bytes(b"half")
    assert len(ReferenceCache(tmp_path, SCOPE)) == 0


def _write_many(root, writer: int) -> None:
    cache = ReferenceCache(root, SCOPE)
    for number in range(20):
        cache.add({f"{writer}-{number}": array("f", [writer, number]), f"shared-{number}": array("f", [number])})


def test_two_writers_at_once_lose_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(tmp_path, writer)) for writer in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    cache = ReferenceCache(tmp_path, SCOPE)
    assert len(cache) == 60
    assert cache.get("2-7") == array("f", [2, 7])


def test_another_writers_numbers_are_seen_after_a_refresh(tmp_path):
    first, second = ReferenceCache(tmp_path, SCOPE), ReferenceCache(tmp_path, SCOPE)
    second.add({"k": NUMBERS})
    assert "k" not in first
    first.refresh()
    assert first.get("k") == NUMBERS
