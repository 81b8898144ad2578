"""The simulated people rate through HTTP like people: as themselves, what they are shown, as often as asked."""

from __future__ import annotations

import json
import stat
from collections import Counter
from pathlib import Path

import pytest

from feedback.desk.codec import EMPTY, shown
from feedback.errors import DeskRefused, DeskUnreachable
from feedback.schemas import VerdictValue
from feedback.simulation import REVIEWERS, Judged
from review_ui.demo.panel import ACCOUNTS, AT_ONCE, LOOKED_AT, Panel, enroll
from tests.people import a_rubric
from tests.review_ui.demo.argilla import OWNER_KEY, TinyArgilla


def is_right(question: str, answer: str) -> Judged:
    """Here the right answer repeats the question's last word."""
    assert question.startswith("Say <b> & ")
    if answer.endswith(question.split()[-1]):
        return Judged(VerdictValue.CORRECT)
    return Judged(VerdictValue.INCORRECT, hallucinated=True, false_spans=((0, len(answer)),) if answer else ())


def rate_records(count: int) -> dict[str, dict[str, str]]:
    return {f"r{n}": {"prompt": shown(f"Say <b> & {n}"), "answer": shown(f"It <is> {n + n % 2}")} for n in range(count)}


def a_panel(url: str, home: Path) -> Panel:
    accounts = enroll(url, OWNER_KEY, workspace="redpen", people=REVIEWERS, home=home)
    return Panel(url=url, people=REVIEWERS, accounts=accounts, oracle=is_right, rubric=a_rubric(), seed=0)


@pytest.mark.parametrize("reviews", [1, 2])
def test_every_record_is_rated_by_as_many_people_as_are_asked(reviews: int, tmp_path: Path) -> None:
    argilla = TinyArgilla(reviews=reviews, records=rate_records(7 * AT_ONCE + 3))
    with argilla.served() as url:
        done = a_panel(url, tmp_path).work()
    counts = Counter(record for record, _ in argilla.responses)
    assert set(counts) == set(argilla.records)
    assert set(counts.values()) == {reviews}
    assert done == reviews * len(argilla.records)


def test_who_rates_what_and_what_they_say_is_drawn_from_the_seed_whoever_is_free_first(tmp_path: Path) -> None:
    records = rate_records(60)
    first, second = TinyArgilla(reviews=2, records=records), TinyArgilla(reviews=2, records=dict(reversed(records.items())))
    for argilla, home in ((first, tmp_path / "a"), (second, tmp_path / "b")):
        home.mkdir()
        with argilla.served() as url:
            a_panel(url, home).work()
    assert first.responses == second.responses
    shares = Counter(name for _, name in first.responses)
    # Each of five people takes two in five of 60 records: 24, give or take three standard deviations of 3.8.
    assert all(12 <= shares[person.name] <= 36 for person in REVIEWERS)


def test_records_on_later_pages_are_found_while_others_submit(tmp_path: Path) -> None:
    argilla = TinyArgilla(records=rate_records(2 * LOOKED_AT + 1))
    with argilla.served() as url:
        assert a_panel(url, tmp_path).work() == 2 * LOOKED_AT + 1


def test_a_second_session_finds_nothing_to_do(tmp_path: Path) -> None:
    argilla = TinyArgilla(records=rate_records(5))
    with argilla.served() as url:
        panel = a_panel(url, tmp_path)
        assert (panel.work(), panel.work()) == (5, 0)


def test_people_judge_the_text_that_the_page_shows_and_mark_it_where_it_stands(tmp_path: Path) -> None:
    argilla = TinyArgilla(records=rate_records(60))
    with argilla.served() as url:
        a_panel(url, tmp_path).work()
    verdicts = {record: values["verdict"] for (record, _), values in argilla.responses.items()}
    agreeing = sum((verdicts[f"r{n}"] == "correct") == (n % 2 == 0) for n in range(60))
    # Five people of mean reliability 0.88: 60 * 0.88 = 52.8, less three standard deviations of 2.5.
    assert agreeing >= 45
    spans = [span for values in argilla.responses.values() for span in values.get("spans", [])]
    assert {(span["start"], span["label"]) for span in spans} == {(0, "hallucinated")}
    assert {span["end"] for span in spans} <= {len(shown("It <is> 8")), len(shown("It <is> 10"))}


def test_rankings_name_the_answers_by_their_fields(tmp_path: Path) -> None:
    fields = {"prompt": shown("Say <b> & 1"), "reference": "1", "answer_1": "2", "answer_2": EMPTY, "answer_3": "1"}
    argilla = TinyArgilla(reviews=5, records={"r": fields})
    with argilla.served() as url:
        a_panel(url, tmp_path).work()
    rankings = [{one["value"]: one["rank"] for one in values["ranking"]} for values in argilla.responses.values()]
    assert len(rankings) == 5
    assert sum(ranking == {"answer_3": 1, "answer_1": 2, "answer_2": 2} for ranking in rankings) >= 3


def test_passwords_are_kept_for_the_next_run_and_for_nobody_else(tmp_path: Path) -> None:
    argilla = TinyArgilla()
    with argilla.served() as url:
        first, second = (enroll(url, OWNER_KEY, workspace="redpen", people=REVIEWERS, home=tmp_path) for _ in range(2))
    assert first == second
    assert argilla.users == {name: account.password for name, account in first.items()}
    assert argilla.members == [person.name for person in REVIEWERS]
    assert stat.S_IMODE((tmp_path / ACCOUNTS).stat().st_mode) == 0o600
    assert set(json.loads((tmp_path / ACCOUNTS).read_text())) == {person.name for person in REVIEWERS}


def test_an_account_without_a_known_password_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    argilla = TinyArgilla(users={"sim-ada": "somebody else's"})
    with argilla.served() as url, pytest.raises(DeskRefused, match=r"sim-ada have accounts, .* --dir"):
        enroll(url, OWNER_KEY, workspace="redpen", people=REVIEWERS, home=tmp_path)
    assert list(argilla.users) == ["sim-ada"]
    assert not (tmp_path / ACCOUNTS).exists()


def test_an_answer_that_argilla_does_not_take_is_an_error(tmp_path: Path) -> None:
    argilla = TinyArgilla(records=rate_records(1), refusal="no such question")
    with argilla.served() as url, pytest.raises(DeskRefused, match=r"r0: Argilla did not take .* no such question"):
        a_panel(url, tmp_path).work()


def test_when_the_demo_is_stopped_everybody_goes_home_and_the_next_run_does_the_rest(tmp_path: Path) -> None:
    argilla = TinyArgilla(records=rate_records(40 * AT_ONCE))

    def interrupted(count: int) -> None:
        raise KeyboardInterrupt

    with argilla.served() as url:
        panel = a_panel(url, tmp_path)
        with pytest.raises(KeyboardInterrupt):
            panel.work(interrupted)
        before = len(argilla.responses)
        assert before < len(argilla.records)
        assert panel.work() == len(argilla.records) - before


def test_an_argilla_that_is_gone_is_told_as_such(tmp_path: Path) -> None:
    with TinyArgilla().served() as url:
        panel = a_panel(url, tmp_path)
    with pytest.raises(DeskUnreachable, match="no Argilla answers"):
        panel.work()
