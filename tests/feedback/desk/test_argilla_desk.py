"""The desk with a real Argilla: what reviewers submit there is what the store holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from feedback.config import DeskConfig, QueueConfig
from feedback.desk.argilla_desk import ArgillaDesk, connect
from feedback.desk.codec import encode_answer
from feedback.desk.pull import pull
from feedback.desk.push import drafts, push
from feedback.desk.setup import setup
from feedback.desk.status import status
from feedback.errors import DeskRefused, InvalidInput
from feedback.rubric import Criterion, read_rubric
from feedback.schemas import Flag, Queue, RankAnswer, RateAnswer, ReviewItem, Span
from feedback.store.store import Store
from tests.feedback.desk.people_of_argilla import new_annotator
from tests.feedback.desk.test_rubrics import READY, filled, page
from tests.people import a_completion, a_prompt, a_rate_answer, a_rate_item, a_rubric

if TYPE_CHECKING:
    import httpx

    from review_ui.appliance.appliance import Running

pytestmark = pytest.mark.argilla

ODD = ("Tabs\tand \x07 bells, \r\n ends, **stars**, __init__, List<int> &amp; <script>alert(1)</script>, 🙂 wrong 漢字\n\n"
       + "long " * 2_000)


@pytest.fixture
def respond(clients: Callable[[str], httpx.Client], owner: httpx.Client, real: ArgillaDesk, store: Store) -> Callable[..., None]:
    """Lets a person act on an item as the page would, with an account of their own."""
    people: dict[str, httpx.Client] = {}

    def account(name: str) -> httpx.Client:
        if name not in people:
            made = new_annotator(owner, f"{name}-{len(real.users())}", real.workspace)
            people[name] = clients(made["api_key"])
        return people[name]

    def act(name: str, item: ReviewItem, answer: RateAnswer | RankAnswer, *, as_status: str = "submitted") -> None:
        (record,) = (one.split("/")[1] for one in store.pushed([item.id])[item.id])
        completions = {one.id: one for one in store.completions(item.completion_ids)}
        values = {key: {"value": value} for key, value in encode_answer(answer, item=item, completions=completions).items()}
        given = account(name).post("/me/responses/bulk", json={"items": [
            {"record_id": record, "status": as_status, "values": values}]})
        given.raise_for_status()
        assert given.json()["items"][0]["error"] is None

    return act


def record_of(owner: httpx.Client, store: Store, item: ReviewItem) -> Mapping[str, Any]:
    (record,) = (one.split("/")[1] for one in store.pushed([item.id])[item.id])
    return dict(owner.get(f"/records/{record}").json())


def test_setting_up_twice_changes_nothing_and_the_questions_read_back_equal(real: ArgillaDesk) -> None:
    planned = setup(real, a_rubric(), QueueConfig(), dry_run=True)
    assert setup(real, a_rubric(), QueueConfig()).steps == planned.steps
    assert len(planned.steps) == 4
    assert setup(real, a_rubric(), QueueConfig()).steps == ()


def test_reworded_questions_are_updated_and_other_questions_refused(real: ArgillaDesk) -> None:
    setup(real, a_rubric(), QueueConfig(rank_items=0))
    first, *others = a_rubric().criteria
    reworded = a_rubric().model_copy(update={"criteria": (first.model_copy(update={"title": "Is it true?"}), *others)})
    assert len(setup(real, reworded, QueueConfig(rank_items=0)).steps) == 2
    assert setup(real, reworded, QueueConfig(rank_items=0)).steps == ()
    longer = a_rubric().model_copy(update={"criteria": (first, *others, Criterion(name="depth", title="D"))})
    with pytest.raises(InvalidInput, match="different: depth"):
        setup(real, longer, QueueConfig())


def test_a_dataset_left_half_made_is_made_again(real: ArgillaDesk, owner: httpx.Client) -> None:
    real.create_workspace()
    workspace = next(one for one in owner.get("/me/workspaces").json()["items"] if one["name"] == real.workspace)
    owner.post("/datasets", json={"name": "rate", "workspace_id": workspace["id"]}).raise_for_status()
    assert not real.datasets()["rate"].ready
    setup(real, a_rubric(), QueueConfig(rank_items=0, audit_reviews=1))
    assert real.datasets()["rate"].ready


def test_pushing_twice_or_after_a_lost_note_makes_each_record_once(real: ArgillaDesk, store: Store, tmp_path: Path) -> None:
    setup(real, a_rubric(), QueueConfig())
    real.upsert(real.datasets()["rate"], drafts(store, [item for item in store.items(queue=Queue.RATE) if item.reviews == 1]))
    assert push(real, store, a_rubric()).pushed == 6
    assert push(real, store, a_rubric()).pushed == 0
    counts = {name: real.progress(dataset).records for name, dataset in real.datasets().items()}
    assert counts == {"rank": 1, "rate": 3, "rate-2": 2}


def test_any_text_reaches_the_reviewer_and_its_marks_come_back(
        real: ArgillaDesk, store: Store, owner: httpx.Client, respond: Callable[..., None]) -> None:
    completion = a_completion(a_prompt(), 9, text=ODD)
    item = a_rate_item(completion)
    store.add_completions([completion])
    store.add_items([item])
    real.create_workspace()
    push(real, store, a_rubric(), [item])
    start = ODD.index("wrong")
    answer = RateAnswer(criteria=a_rate_answer().criteria, verdict=a_rate_answer().verdict, flags=(Flag.HALLUCINATED,),
                        spans=(Span(start=start, end=start + 5),), rewrite=ODD + "!", comment="\x07 ok")
    respond("sim-anna", item, answer)
    pull(real, store, a_rubric())
    assert [rating.answer for rating in store.live_ratings()] == [answer]
    assert "<script>" not in record_of(owner, store, item)["fields"]["answer"]


def test_what_is_submitted_is_pulled_and_what_is_changed_or_withdrawn_follows(
        real: ArgillaDesk, store: Store, owner: httpx.Client, respond: Callable[..., None]) -> None:
    real.create_workspace()
    push(real, store, a_rubric())
    one, two, three = [item for item in store.items(queue=Queue.RATE) if item.reviews == 1]
    (ranked,) = store.items(queue=Queue.RANK)
    ranking = RankAnswer(tiers=(tuple(sorted(ranked.completion_ids[:2])), tuple(sorted(ranked.completion_ids[2:]))))
    for item, answer in ((one, a_rate_answer()), (two, a_rate_answer()), (three, a_rate_answer()), (ranked, ranking)):
        respond("sim-anna", item, answer)
    respond("sim-boris", one, a_rate_answer(value=1), as_status="draft")
    assert pull(real, store, a_rubric()).new == 4
    assert pull(real, store, a_rubric()).datasets_read == ()

    respond("sim-anna", one, a_rate_answer(value=2))
    respond("sim-anna", two, a_rate_answer(), as_status="draft")
    owner.delete(f"/responses/{record_of(owner, store, three)['responses'][0]['id']}").raise_for_status()
    report = pull(real, store, a_rubric())
    assert (report.new, report.changed, report.deleted, report.rejected) == (0, 1, 2, ())
    assert {rating.item_id: rating.version for rating in store.live_ratings()} == {one.id: 2, ranked.id: 1}

    owner.delete(f"/records/{record_of(owner, store, one)['id']}").raise_for_status()
    assert pull(real, store, a_rubric()).deleted == 1
    assert [rating.answer for rating in store.live_ratings()] == [ranking]


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_argilla_takes_every_ready_rubric(
        path: Path, real: ArgillaDesk, store: Store, owner: httpx.Client, clients: Callable[[str], httpx.Client]) -> None:
    rubric, item = read_rubric(path), store.items(queue=Queue.RATE)[0]
    real.create_workspace()
    assert push(real, store, rubric, [item]).pushed == 1
    assert push(real, store, rubric, [item]).already == 1
    values = {name: {"value": value} for name, value in filled(page(rubric)).items()}
    (place,) = store.pushed()[item.id]
    person = new_annotator(owner, f"sim-{path.stem}", real.workspace)
    sent = {"items": [{"record_id": place.split("/")[1], "status": "submitted", "values": values}]}
    assert clients(person["api_key"]).post("/me/responses/bulk", json=sent).json()["items"][0]["error"] is None
    assert (pull(real, store, rubric).new, pull(real, store, rubric).datasets_read) == (1, ())
    answer = store.live_ratings()[0].answer
    assert isinstance(answer, RateAnswer)
    assert answer.criteria == {one.name: one.scale[0] for one in rubric.criteria}


def test_status_counts_as_argilla_does(real: ArgillaDesk, store: Store, respond: Callable[..., None]) -> None:
    real.create_workspace()
    push(real, store, a_rubric())
    double = next(item for item in store.items() if item.reviews == 2)
    respond("sim-anna", double, a_rate_answer())
    respond("sim-anna", store.items()[0], a_rate_answer(), as_status="draft")
    found = status(real, store)
    assert {one.name: one.reviews_missing for one in found.datasets} == {"rank": 1, "rate": 3, "rate-2": 3}
    (anna,) = found.reviewers
    assert (anna.simulated, anna.submitted, anna.unfinished, anna.waiting) == (True, 1, 1, 4)


def test_a_wrong_key_is_refused(appliance: Running) -> None:
    with pytest.raises(DeskRefused, match="the API key is refused"):
        connect(DeskConfig(), url=appliance.url, api_key="wrong")


def test_a_reviewers_key_is_not_enough(appliance: Running, owner: httpx.Client) -> None:
    desk = connect(DeskConfig(), url=appliance.url, api_key=new_annotator(owner, "sim-key", None)["api_key"])
    with pytest.raises(DeskRefused, match="use the key of an owner"):
        desk.users()
    desk.close()
