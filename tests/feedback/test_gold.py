"""Known answers: read strictly, mixed in at their share, told to those who weigh reviewers and to nobody else."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from feedback.errors import InvalidInput
from feedback.gold import Gold, chosen, corrections, read_gold
from feedback.ids import ReviewerId
from feedback.schemas import GoldAnswer, Purpose, Rating, VerdictValue
from feedback.store.snapshot import read_snapshot, seal
from feedback.store.store import Store
from tests.people import a_completion, a_prompt, a_rate_item, a_rating, a_reviewer, a_rubric


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def line(number: int = 0, **changes: object) -> dict[str, object]:
    return {"prompt": f"What is {number} + 1?", "completion": f"{number + 1}", "verdict": "correct"} | changes


def golds(tmp_path: Path, count: int) -> list[Gold]:
    return read_gold(write(tmp_path / "gold.jsonl", *(line(number) for number in range(count))), rubric=a_rubric())


def test_without_a_file_there_are_no_known_answers(tmp_path: Path) -> None:
    assert read_gold(tmp_path / "gold.jsonl", rubric=a_rubric()) == []


def test_every_mistake_in_the_file_is_told_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "gold.jsonl", line(verdict="cannot tell"), line(1, criteria={"accuracy": 9}), line(2), line(2),
                 line(3, completion=" "), line(4, criteria={"wit": 1}))
    with pytest.raises(InvalidInput) as caught:
        read_gold(path, rubric=a_rubric())
    told = "\n".join(caught.value.problems)
    for part in (r":1: verdict is 'cannot tell'", ":2: criteria.accuracy is 9; use one of [1, 2, 3, 4, 5]",
                 ":4: 'What is 2 + 1?' has this answer twice", ":5: completion: it is empty", ":6: criteria.wit is 1;"):
        assert part in told


def test_a_question_of_the_project_keeps_its_reference_and_family(tmp_path: Path) -> None:
    own = a_prompt(reference="42")
    path = write(tmp_path / "gold.jsonl", line(prompt=own.text, reference="another"))
    (gold,) = read_gold(path, prompts=[own], rubric=a_rubric())
    assert gold.prompt == own


def test_they_are_the_share_asked_for_and_the_least_often_asked(tmp_path: Path) -> None:
    every = golds(tmp_path, 20)
    first = chosen(every, asked={}, beside=95, share=0.05, salt="1")
    assert len(first) == 5  # 5 of 95 + 5
    asked = Counter(one.completion.id for one in first)
    second = chosen(every, asked=asked, beside=95, share=0.05, salt="2")
    assert not {one.completion.id for one in first} & {one.completion.id for one in second}
    assert chosen(every, asked={}, beside=95, share=0, salt="1") == []
    assert len(chosen(every, asked={}, beside=1000, share=0.5, salt="1")) == 20


def test_their_place_in_the_queue_tells_nothing(tmp_path: Path) -> None:
    known = [gold.item(round=1, reviews=1).id for gold in golds(tmp_path, 200)]
    others = [a_rate_item(a_completion(a_prompt(number))).id for number in range(200)]
    place = {id: number for number, id in enumerate(sorted([*known, *others]))}
    assert abs(sum(place[id] for id in known) / 200 - 199.5) < 40  # 4 standard deviations of a random order's mean


def test_a_corrected_answer_is_appended_and_counts(tmp_path: Path) -> None:
    (gold,) = golds(tmp_path, 1)
    item = gold.item(round=1, reviews=1)
    with Store.open(tmp_path / "store.db") as store:
        store.add_prompts([gold.prompt])
        store.add_completions([gold.completion])
        store.add_items([item])
        assert (store.append_gold([gold.answer(item)]), store.append_gold([gold.answer(item)])) == (1, 0)
        (mended,) = read_gold(write(tmp_path / "gold.jsonl", line(verdict="incorrect")), rubric=a_rubric())
        assert store.append_gold(corrections([mended], store.items(Purpose.GOLD))) == 1
        assert [known.verdict for known in store.gold()] == [VerdictValue.INCORRECT]


def test_any_snapshot_holds_the_ratings_of_known_answers_and_what_is_known(tmp_path: Path) -> None:
    (gold,) = golds(tmp_path, 1)
    trained, known = a_rate_item(a_completion(a_prompt())), gold.item(round=1, reviews=1)
    with Store.open(tmp_path / "store.db") as store:
        store.add_prompts([a_prompt(), gold.prompt])
        store.add_completions([a_completion(a_prompt()), gold.completion])
        store.add_items([trained, known])
        store.add_reviewers([a_reviewer()])
        store.append_gold([gold.answer(known)])
        ratings: list[Rating] = [a_rating(item.id, a_reviewer()) for item in (trained, known)]
        store.append_ratings(ratings)
        seal(store, purpose=Purpose.TRAIN, rounds=[1], rubric=a_rubric(), out=tmp_path / "sealed",
             exclude=frozenset({ratings[1].id}))
    sealed = read_snapshot(tmp_path / "sealed")
    assert {item.id for item in sealed.items} == {trained.id, known.id}
    assert sealed.gold == (GoldAnswer(item_id=known.id, completion_id=gold.completion.id, verdict=VerdictValue.CORRECT,
                                      hallucinated=None, criteria={}),)
    assert {rating.reviewer_id for rating in sealed.ratings} == {ReviewerId("user-sim-anna")}
