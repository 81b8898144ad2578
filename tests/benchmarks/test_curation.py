"""What the curation benchmark plants is what it says, so its figures mean something."""

from __future__ import annotations

from random import Random

import pytest

from feedback.curation.near import alike
from tests.benchmarks.curation import FRAMES, Score, made_up, other_meaning, sentences, slip

CORPUS = sentences()


def test_there_are_thousands_of_different_sentences() -> None:
    assert len(CORPUS) == len(set(CORPUS)) > 2_000


def test_a_slip_changes_the_text_and_another_meaning_changes_what_decides() -> None:
    chance = Random(0)
    changed = [(text, other_meaning(text, chance)) for text in CORPUS[:400]]
    assert sum(other is not None for _, other in changed) > 50
    assert not [text for text, other in changed if other and alike(text, other, similarity=0.8)]
    assert sum(slip(text, chance) != text for text in CORPUS[:100]) > 80


def test_made_up_cards_and_accounts_have_valid_check_digits() -> None:
    pytest.importorskip("phonenumbers", reason="phonenumbers comes with the `curation` extra")
    chance = Random(0)
    for _ in range(50):
        digits = [int(each) for each in made_up("card", chance) if each.isdigit()][::-1]
        assert sum(sum(divmod(digit * (1 + at % 2), 10)) for at, digit in enumerate(digits)) % 10 == 0
        account = made_up("iban", chance).replace(" ", "")
        assert int("".join(str(int(each, 36)) for each in account[4:] + account[:4])) % 97 == 1
    assert all(made_up(kind, chance) for kind in FRAMES)


def test_recall_and_precision_are_shares_of_what_was_planted_and_of_what_was_found() -> None:
    figures = Score(planted=10, found=8, false=2).figures
    assert (figures["recall"], figures["precision"]) == (0.8, 0.8)
