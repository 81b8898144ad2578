"""Ready rubrics from the form to the stored rating, and rubrics that change while people work."""

from __future__ import annotations

from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from feedback.desk.codec import encode_answer, record_of
from feedback.desk.layout import Kind, Layout, kind_named, layouts
from feedback.desk.page_text import read_shown, shown_markdown
from feedback.desk.premark import unsupported
from feedback.desk.pull import pull
from feedback.desk.push import push
from feedback.desk.texts import add_texts, read_texts
from feedback.errors import InvalidInput
from feedback.rubric import Choice, Criterion, Option, Rubric, read_rubric
from feedback.schemas import Flag, Purpose, Queue, RateAnswer, ReviewItem, Severity, SpanType, VerdictValue
from feedback.store.rubrics import versions
from feedback.store.snapshot import seal
from feedback.store.store import Store
from tests.desk_in_memory import DeskInMemory
from tests.people import a_completion, a_prompt, a_ranking, a_rate_answer, a_rate_item, a_rubric

READY = sorted(Path(str(files("configs"))).glob("rubric/*.yaml"))
OPTIONAL = Criterion(name="depth", title="Depth", required=False)


def ready(name: str) -> Rubric:
    return read_rubric(next(path for path in READY if path.stem == name))


def page(rubric: Rubric) -> Layout:
    return layouts(rubric, [Kind(Queue.RATE, 1, 1)])[0]


def filled(layout: Layout) -> dict[str, Any]:
    """Every question answered with its first option, a mark of every kind on its own character, no texts."""
    first = {one.name: one.options[0][0] for one in layout.questions if one.options}
    values: dict[str, Any] = {}
    for one in layout.questions:
        match one.kind:
            case "rating":
                values[one.name] = int(first[one.name])
            case "label":
                values[one.name] = first[one.name]
            case "labels":
                values[one.name] = [first[one.name]]
            case "span":
                values[one.name] = [{"label": label, "start": at, "end": at + 1} for at, (label, _) in enumerate(one.options)]
    return values


def answered(desk: DeskInMemory, store: Store, rubric: Rubric, item: ReviewItem, values: dict[str, Any]) -> RateAnswer:
    push(desk, store, rubric, [item])
    desk.submit("sim-anna", item, values)
    report = pull(desk, store, rubric)
    assert (report.new, report.rejected) == (1, ())
    (rating,) = store.live_ratings()
    assert isinstance(rating.answer, RateAnswer)
    return rating.answer


def test_there_are_ready_rubrics_for_each_kind_of_work() -> None:
    assert {path.stem for path in READY} >= {"answers", "labels", "flags", "safety", "summary", "code"}


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_every_ready_rubric_goes_from_the_form_to_the_store(path: Path, desk: DeskInMemory, store: Store) -> None:
    rubric = read_rubric(path)
    answer = answered(desk, store, rubric, store.items(queue=Queue.RATE)[0], filled(page(rubric)))
    assert answer.criteria == {one.name: one.scale[0] for one in rubric.criteria}
    assert answer.choices == {one.name: (one.options[0].value,) if one.many else one.options[0].value for one in rubric.choices}
    assert [span.label for span in answer.spans] == [mark.value for mark in rubric.marks]


@pytest.mark.parametrize(("chosen", "verdict"), [("pass", "correct"), ("fail", "incorrect"), ("critical fail", "incorrect")])
def test_a_safety_verdict_follows_from_what_was_chosen(chosen: str, verdict: str, desk: DeskInMemory, store: Store) -> None:
    answer = answered(desk, store, ready("safety"), store.items(queue=Queue.RATE)[0], {"safety": chosen})
    assert (answer.verdict, answer.hallucinated) == (VerdictValue(verdict), False)


def test_a_flag_form_says_what_is_hallucinated(desk: DeskInMemory, store: Store) -> None:
    values = {"overall": 3, "found": ["says it does not know", "hallucination"], "verdict": "incorrect"}
    answer = answered(desk, store, ready("flags"), store.items(queue=Queue.RATE)[0], values)
    assert answer.flags == (Flag.HALLUCINATED, Flag.ABSTAINS)
    assert answer.choices == {"found": ("hallucination", "says it does not know")}


def test_a_mark_in_a_summary_has_its_type_and_severity(desk: DeskInMemory, store: Store) -> None:
    answer = answered(desk, store, ready("summary"), store.items(queue=Queue.RATE)[0], filled(page(ready("summary"))))
    assert [(span.type, span.severity) for span in answer.spans] == [(one, two) for one in SpanType for two in Severity]
    assert answer.hallucinated


def test_an_entity_is_no_error_and_a_labelled_text_has_no_verdict(tmp_path: Path, desk: DeskInMemory, store: Store) -> None:
    (tmp_path / "texts.jsonl").write_text('{"text": "The Kite 2 broke."}\n{"text": "Hello", "source": "A mail"}\n')
    lines = read_texts(tmp_path / "texts.jsonl")
    assert (add_texts(store, ready("labels"), lines, reviews=1), add_texts(store, ready("labels"), lines, reviews=1)) == (2, 0)
    item = store.items()[-1]
    spans = [{"label": "product", "start": 0, "end": 3}]
    answer = answered(desk, store, ready("labels"), item, {"topic": "technical", "urgency": "now", "spans": spans})
    assert (answer.verdict, answer.hallucinated, answer.spans[0].label) == (VerdictValue.CANNOT_TELL, False, "product")


def test_texts_are_refused_by_a_form_for_answers(tmp_path: Path, store: Store) -> None:
    (tmp_path / "texts.jsonl").write_text('{"text": "One"}\n{"text": "One"}\n{"text": " "}\n')
    with pytest.raises(InvalidInput, match=r"(?s):2: 'One' stands in the file twice.*:3: the text is empty"):
        read_texts(tmp_path / "texts.jsonl")
    with pytest.raises(InvalidInput, match=r"texts are no answers; use a rubric with `verdict: false`"):
        add_texts(store, a_rubric(), [], reviews=1)


def test_a_choice_outside_its_options_is_rejected_and_the_others_are_stored(desk: DeskInMemory, store: Store) -> None:
    good, bad = store.items(queue=Queue.RATE)[:2]
    push(desk, store, ready("safety"), [good, bad])
    desk.submit("sim-anna", good, {"safety": "pass"})
    desk.submit("sim-anna", bad, {"safety": "perhaps"})
    report = pull(desk, store, ready("safety"))
    assert report.new == 1
    assert report.rejected[0].problems == ("safety: found 'perhaps'; expected one of ['pass', 'fail', 'critical fail']",)


def test_a_dataset_name_tells_its_kind() -> None:
    shown = [(Queue.RATE, 1), (Queue.RANK, 4), (Queue.RANK, 2)]
    kinds = [Kind(queue, size, reviews) for queue, size in shown for reviews in (1, 3)]
    assert [kind_named(kind.name) for kind in kinds] == [kind_named(f"{kind.name}-v12") for kind in kinds] == kinds


def test_better_wording_and_an_optional_question_go_on_as_a_new_version(desk: DeskInMemory, store: Store) -> None:
    first, second = store.items(queue=Queue.RATE)[:2]
    push(desk, store, a_rubric(), [first])
    desk.submit("sim-anna", first, a_rate_answer())
    pull(desk, store, a_rubric())
    longer = a_rubric().model_copy(update={"criteria": (*a_rubric().criteria, OPTIONAL)})
    assert push(desk, store, longer, [first, second]).datasets == {"rate-v2": 1}
    desk.submit("sim-anna", second, a_rate_answer())
    desk.submit("sim-ben", first, a_rate_answer())
    pull(desk, store, longer)
    assert [one.hash for one in versions(store)] == [a_rubric().hash, longer.hash]
    assert [rating.rubric for rating in store.live_ratings()] == [a_rubric().hash, a_rubric().hash, longer.hash]


def test_an_optional_question_that_nobody_answered_may_go_again(desk: DeskInMemory, store: Store) -> None:
    first, second, third = store.items(queue=Queue.RATE)[:3]
    push(desk, store, a_rubric(), [first])
    desk.submit("sim-anna", first, a_rate_answer())
    pull(desk, store, a_rubric())
    push(desk, store, a_rubric().model_copy(update={"criteria": (*a_rubric().criteria, OPTIONAL)}), [second])
    assert push(desk, store, a_rubric(), [first, second, third]).datasets == {"rate": 1}
    assert set(desk.datasets()) == {"rate", "rate-v2"}


@pytest.mark.parametrize(("change", "told"), [
    ({"criteria": a_rubric().criteria[1:]}, "the question 'accuracy' is gone"),
    ({"criteria": (Criterion(name="accuracy", title="A", scale=(1, 2)), *a_rubric().criteria[1:])}, "'accuracy' has the answers"),
    ({"criteria": (*a_rubric().criteria, Criterion(name="depth", title="Depth"))}, "'depth' is new and required"),
    ({"choices": (Choice(name="kind", title="Kind", options=(Option(value="a"), Option(value="b"))),)}, "'kind' is new and"),
])
def test_a_rubric_that_asks_something_else_is_refused_once_there_are_ratings(
        change: dict[str, Any], told: str, desk: DeskInMemory, store: Store, tmp_path: Path) -> None:
    item = store.items(queue=Queue.RATE)[0]
    push(desk, store, a_rubric(), [item])
    desk.submit("sim-anna", item, a_rate_answer())
    pull(desk, store, a_rubric())
    before = store.ratings(), desk.datasets(), store.events()
    changed = a_rubric().model_copy(update=change)
    for work in (partial(push, desk), partial(pull, desk), partial(seal, purpose=None, rounds=None, out=tmp_path / "sealed")):
        with pytest.raises(InvalidInput, match=f"{told}(?s:.*)keep the old question with `required: false`"):
            work(store=store, rubric=changed)
    assert not (tmp_path / "sealed").exists()
    assert (store.ratings(), desk.datasets(), store.events()) == before


def test_what_was_stored_before_forms_grew_keeps_its_ids() -> None:
    assert a_rubric().hash == "rubric-15887376ddc504df762118b2"
    said = a_rate_answer().model_dump(mode="json")
    assert said.keys() == {"kind", "criteria", "verdict", "flags", "spans", "rewrite", "comment"}


@pytest.mark.parametrize("tiers", [[[0], [1]], [[1], [0]], [[0, 1]]])
def test_of_two_answers_one_choice_names_the_better_or_a_tie(tiers: list[list[int]], desk: DeskInMemory, store: Store) -> None:
    two = store.items(queue=Queue.RANK)[0].completion_ids[:2]
    item = ReviewItem.of(queue=Queue.RANK, purpose=Purpose.TRAIN, round=1, prompt_id=store.items(queue=Queue.RANK)[0].prompt_id,
                         completion_ids=two)
    store.add_items([item])
    answer = a_ranking(*(sorted(two[place] for place in tier) for tier in tiers))
    sent = encode_answer(answer, item=item, completions={one.id: one for one in store.completions(two)})
    assert isinstance(sent["ranking"], str)
    push(desk, store, a_rubric(), [item])
    desk.submit("sim-anna", item, answer)
    pull(desk, store, a_rubric())
    assert store.live_ratings()[0].answer == answer


def test_a_picture_in_markdown_is_shown_as_its_characters_and_reads_back() -> None:
    text = "See ![x](https://example.org/x.png) and `a[!b]`"
    assert "![" not in shown_markdown(text)
    assert read_shown(shown_markdown(text)) == text


def test_only_what_the_source_does_not_hold_is_marked_beforehand() -> None:
    answer = "The Kite costs 40 euros. In 2021 the Heron cost 35.\nIt ships from `depot`."
    found = [answer[start:end] for start, end in unsupported(answer, "The kite costs 40 euros, sent from depot.")]
    assert found == ["2021", "Heron", "35"]


def test_suggestions_are_made_only_where_the_rubric_allows_them_and_never_marks_as_findings() -> None:
    prompt = a_prompt(reference="It is 3.")
    completion = a_completion(prompt, text="It is 4.")
    item = a_rate_item(completion)
    made = {name: record_of(item, prompt=prompt, completions={completion.id: completion}, rubric=ready(name)).suggestions
            for name in ("answers", "summary", "labels")}
    assert (made["answers"], made["labels"]) == ({}, {})
    assert made["summary"] == {"rewrite": "It is 4.", "spans": [{"label": "not in source minor", "start": 6, "end": 7}]}


def test_a_rewrite_left_as_it_began_is_none(desk: DeskInMemory, store: Store) -> None:
    item = store.items(queue=Queue.RATE)[0]
    (shown,) = store.completions(item.completion_ids)
    answer = answered(desk, store, ready("safety"), item, {"safety": "pass", "rewrite": f"{shown.text}\n"})
    assert answer.rewrite is None
