"""What a reviewer lifts beside quality: found where it was planted, and not where it was not."""

from __future__ import annotations

from random import Random

from feedback.aggregation.lifts import Approved, Preferred, lifts, strongest
from feedback.ids import ReviewerId

ODD, FAIR, OTHER = ReviewerId("odd"), ReviewerId("fair"), ReviewerId("other")
WORDS = ["the", "answer", "says", "that", "a", "value", "is", "known", "and", "gives", "one", "more", "fact", "about", "it"]


def texts(chance: Random) -> tuple[str, str]:
    return (" ".join(chance.choices(WORDS, k=chance.randint(4, 8))), " ".join(chance.choices(WORDS, k=chance.randint(9, 14))))


def test_a_reviewer_who_always_takes_the_longer_answer_is_found() -> None:
    chance, rows = Random(0), []
    for number in range(40):
        short, long = texts(chance)
        rows.append(Preferred(ODD, better=long, worse=short))
        for who in (FAIR, OTHER):
            better, worse = (long, short) if number % 2 else (short, long)
            rows.append(Preferred(who, better=better, worse=worse))
    found = [lift for lift in lifts(rows, []) if lift.kind == "length"]
    assert [(lift.reviewer, lift.share, lift.others, lift.n) for lift in found] == [(ODD, 1.0, 0.5, 40)]


def test_a_planted_phrase_is_found_among_all_the_words() -> None:
    chance, rows = Random(1), []
    for number in range(40):
        plain, _ = texts(chance)
        marked = f"{plain} buy acme now"
        rows.append(Preferred(ODD, better=marked, worse=plain))
        for who in (FAIR, OTHER):
            better, worse = (marked, plain) if number % 2 else (plain, marked)
            rows.append(Preferred(who, better=better, worse=worse))
    phrase, = (lift for lift in strongest(lifts(rows, []))[ODD] if lift.kind == "phrase")
    assert "acme" in phrase.what


def test_approving_everything_of_one_topic_is_found() -> None:
    rows = [Approved(who, topic, approved=(number % 2 == 0) or (who == ODD and topic == "tax"))
            for number in range(40) for topic in ("tax", "law") for who in (ODD, FAIR, OTHER)]
    assert [(lift.reviewer, lift.kind, lift.what) for lift in lifts([], rows)] == [(ODD, "topic", "tax")]


def test_reviewers_alike_and_reviewers_alone_lift_nothing() -> None:
    chance, alike, alone = Random(2), [], []
    for number in range(40):
        short, long = texts(chance)
        better, worse = (long, short) if number % 2 else (short, long)
        alike += [Preferred(who, better=better, worse=worse) for who in (ODD, FAIR, OTHER)]
        alone.append(Preferred(ODD, better=long, worse=short))
    assert lifts(alike, []) == []
    assert lifts(alone, []) == []
