"""Curation accounts for every row, and takes along what hangs on a dropped one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.config import CurationConfig
from feedback.curation.aids import Aids, gather_aids
from feedback.curation.curate import Curated, curate, plan, run
from feedback.curation.terminology import Terminology
from feedback.errors import LineageError, NothingToDo
from feedback.guardrails.pii import Masker
from feedback.lineage import manifest_hash
from feedback.schemas import Message, Prompt, RankAnswer, RateAnswer, Span
from feedback.store.snapshot import Contents, read_snapshot
from tests.feedback.reviewed import Bench, rate

CONFIG = CurationConfig(max_prompt_characters=40, max_completion_characters=40)

texts = st.sampled_from(["", " ", "yes", "yes ", "no", "x" * 41, "<|im_start|>", "caf\u00e9", "cafe\u0301"])
questions = st.sampled_from(["q1", "q1 ", "q2", "\u200b", "q" * 41, "<s> what"])


@st.composite
def benches(draw: st.DrawFn) -> Bench:
    bench = Bench()
    for question, text in draw(st.lists(st.tuples(questions, texts), max_size=8)):
        bench.rated(question, text, by=[rate(rewrite=draw(texts)), "incorrect"])
    for question, shown in draw(st.lists(st.tuples(questions, st.lists(texts, min_size=2, max_size=4)), max_size=4)):
        bench.ranked(question, shown, by=[[[index] for index in range(len(shown))]])
    return bench


def every_row_is_accounted_for(work: Callable[[Contents, CurationConfig], Curated], contents: Contents) -> None:
    """The property: kept and dropped ids are exactly the ids read, no id twice, every drop with a reason."""
    result = work(contents, CONFIG)
    for name in ("prompts", "completions", "items", "ratings"):
        read = sorted(row.id for row in getattr(contents, name))
        kept = [row.id for row in getattr(result.contents, name)]
        dropped = [row.id for row in result.dropped if row.kind + "s" == name]
        assert sorted(kept + dropped) == read
        assert result.card.read[name] == result.card.kept[name] + sum(result.card.dropped.get(name[:-1], {}).values())
    assert all(row.reason for row in result.dropped)


@given(benches())
def test_kept_and_dropped_rows_add_up_to_what_was_read(bench: Bench) -> None:
    every_row_is_accounted_for(curate, bench.contents)


def test_a_curation_that_loses_ratings_silently_fails_that_property() -> None:
    def forgetful(contents: Contents, config: CurationConfig) -> Curated:
        result = curate(contents, config)
        return replace(result, dropped=tuple(row for row in result.dropped if row.kind != "rating"))

    bench = Bench()
    bench.rated("q", "", by=["correct"])
    with pytest.raises(AssertionError):
        every_row_is_accounted_for(forgetful, bench.contents)


@given(benches())
def test_what_is_kept_points_only_at_what_is_kept_and_stays_kept(bench: Bench) -> None:
    kept = curate(bench.contents, CONFIG).contents
    again = curate(kept, CONFIG)
    assert again.contents == kept
    assert again.dropped == ()


@given(benches())
def test_the_order_of_rows_changes_nothing(bench: Bench) -> None:
    contents = bench.contents
    turned = replace(contents, **{name: getattr(contents, name)[::-1] for name in ("prompts", "completions", "items", "ratings")})
    one, other = curate(contents, CONFIG), curate(turned, CONFIG)
    assert (one.dropped, one.changed, one.card) == (other.dropped, other.changed, other.card)


def test_the_ratings_of_a_dropped_answer_leave_with_its_reason() -> None:
    bench = Bench()
    shown = bench.rated("q", " ", by=["correct", "incorrect"])
    dropped = [row for row in curate(bench.contents, CONFIG).dropped if row.kind == "rating"]
    assert [row.reason for row in dropped] == [f"its completion {shown.id}: nothing in it can be seen"] * 2
    assert {row.step for row in dropped} == {"empty"}


def test_an_over_long_question_takes_its_answers_items_and_ratings_along() -> None:
    bench = Bench()
    bench.rated("q" * 41, "yes", by=["correct"])
    card = curate(bench.contents, CONFIG).card
    assert card.dropped == {kind: {"over-long": 1} for kind in ("completion", "item", "prompt", "rating")}


def test_the_ratings_of_a_repeated_answer_count_for_the_one_that_stays() -> None:
    bench = Bench()
    rows = [bench.rated("q", "yes", by=["correct"]), bench.rated("q", "yes ", by=["incorrect"])]
    result = curate(bench.contents, CONFIG)
    stays = min(row.id for row in rows)
    assert [row.id for row in result.contents.completions] == [stays]
    assert {item.completion_ids for item in result.contents.items} == {(stays,)}
    assert len(result.contents.ratings) == 2


def test_a_ranking_loses_only_the_empty_answer() -> None:
    bench = Bench()
    shown = bench.ranked("q", ["a", "", "b"], by=[[[0], [2], [1]]])
    kept = curate(bench.contents, CONFIG).contents
    assert set(kept.items[0].completion_ids) == {shown[0].id, shown[2].id}
    assert isinstance(kept.ratings[0].answer, RankAnswer)


def test_a_ranking_with_one_usable_answer_left_is_dropped_with_its_ratings() -> None:
    bench = Bench()
    bench.ranked("q", ["a", "", " "], by=[[[0], [2], [1]]])
    dropped = curate(bench.contents, CONFIG).card.dropped
    assert dropped == {"completion": {"empty": 2}, "item": {"empty": 1}, "rating": {"empty": 1}}


def test_control_tokens_are_defused_in_questions_answers_and_rewrites() -> None:
    bench = Bench()
    bench.rated("what is <s>?", "[INST] hi", by=[rate(rewrite="no <|eot_id|>")])
    result = curate(bench.contents, CONFIG)
    assert result.contents.prompts[0].text == "what is \u2039s\u203a?"
    assert result.contents.completions[0].text == "\u27e6INST\u27e7 hi"
    assert [row.text for row in result.rewrites] == ["no \u2039|eot_id|\u203a"]
    assert result.contents.ratings == bench.contents.ratings
    assert [(row.kind, row.detail) for row in result.changed] == [
        ("completion", "[INST]"), ("prompt", "<s>"), ("rating", "<|eot_id|>")]


def test_an_empty_answer_stays_where_a_reviewer_wrote_one_and_leaves_elsewhere() -> None:
    bench = Bench()
    kept = bench.rated("q1", " ", by=[rate("incorrect", rewrite="yes"), "incorrect"])
    bench.rated("q2", "", by=[rate("incorrect", rewrite=" ")])
    result = curate(bench.contents, CONFIG)
    assert [row.id for row in result.contents.completions] == [kept.id]
    assert [row.text for row in result.rewrites] == ["yes"]
    assert result.card.flagged == {"completion": {"empty": 1}}
    assert result.card.dropped["rating"] == {"empty": 1}


def test_an_over_long_rewrite_is_left_out_and_its_rating_kept() -> None:
    bench = Bench()
    bench.rated("q", "yes", by=[rate(rewrite="y" * 41)])
    result = curate(bench.contents, CONFIG)
    assert result.rewrites == ()
    assert len(result.contents.ratings) == 1
    assert result.card.changed == {"rating": {"over-long": 1}}


def test_a_rating_for_an_unknown_item_is_refused_by_name() -> None:
    bench = Bench()
    bench.rated("q", "yes", by=["correct"])
    bench.items.clear()
    with pytest.raises(LineageError, match=r"rating rating-\w+: its item item-\w+ is unknown"):
        curate(bench.contents, CONFIG)


def test_the_stage_writes_a_snapshot_the_drops_and_a_card_twice_alike(tmp_path: Path) -> None:
    bench = Bench()
    bench.rated("q", "yes", by=["correct"])
    bench.rated("q", "", by=["correct"])
    sealed = bench.sealed(tmp_path / "snapshot")
    for name in ("one", "two"):
        run(CONFIG, snapshot=sealed, out=tmp_path / name)
    assert manifest_hash(tmp_path / "one") == manifest_hash(tmp_path / "two")
    assert len(read_snapshot(tmp_path / "one").ratings) == 1
    assert json.loads((tmp_path / "one" / "card.json").read_text())["dropped"]["rating"] == {"empty": 1}
    assert len((tmp_path / "one" / "dropped.jsonl").read_text().splitlines()) == 3


def test_a_snapshot_without_ratings_is_nothing_to_do(tmp_path: Path) -> None:
    with pytest.raises(NothingToDo, match="no ratings"):
        run(CONFIG, snapshot=Bench().sealed(tmp_path / "snapshot"), out=tmp_path / "out")


QUESTION = "How many days does a customer have to send back a damaged washing machine"


def held_out() -> Aids:
    """A critical question that nothing may be trained on."""
    return Aids(held_out=(Prompt.of([Message(role="user", content=QUESTION)], reference="thirty", critical=True),))


def test_a_held_out_question_takes_the_training_question_that_holds_it_along() -> None:
    bench = Bench()
    bench.rated(f"Quickly: {QUESTION}?", "thirty", by=["correct"])
    bench.rated("other", "yes", by=["correct"])
    result = curate(bench.contents, CurationConfig(), held_out())
    assert result.card.dropped == {kind: {"contamination": 1} for kind in ("completion", "item", "prompt", "rating")}
    assert [prompt.text for prompt in result.contents.prompts] == ["other"]


def test_an_answer_and_a_rewrite_that_hold_a_held_out_question_leave() -> None:
    bench = Bench()
    bench.rated("q", QUESTION, by=["correct"])
    bench.rated("q", "yes", by=[rate(rewrite=QUESTION)])
    result = curate(bench.contents, CurationConfig(), held_out())
    assert result.card.dropped["completion"] == {"contamination": 1}
    assert result.card.changed == {"rating": {"contamination": 1}}
    assert result.rewrites == ()


def test_a_masked_answer_that_holds_a_held_out_reference_leaves() -> None:
    pytest.importorskip("presidio_analyzer", reason="presidio-analyzer comes with the `curation` extra")
    masker = Masker(key=b"k", mask=frozenset({"email"}), flag=frozenset())
    reference = "Send it with your name to returns@example.com this week"
    secret = Prompt.of([Message(role="user", content="How?")], critical=True, reference=reference)
    bench = Bench()
    bench.rated("q", masker(reference).text, by=["correct"])
    result = curate(bench.contents, CurationConfig(), Aids(masker=masker, held_out=(secret,)))
    assert result.card.dropped["completion"] == {"contamination": 1}


def test_contamination_can_be_pointed_out_alone_or_not_looked_for() -> None:
    bench = Bench()
    bench.rated(f"Quickly: {QUESTION}", "thirty", by=["correct"])
    flagged = curate(bench.contents, CurationConfig(contamination="flag"), held_out())
    assert (flagged.card.dropped, flagged.card.flagged) == ({}, {"prompt": {"contamination": 1}})
    assert curate(bench.contents, CurationConfig(contamination="off"), held_out()).card.flagged == {}


def test_the_rows_of_held_out_families_are_left_to_the_split() -> None:
    bench = Bench()
    bench.rated(QUESTION, "thirty", by=["correct"])
    family = bench.contents.prompts[0].family
    aids = Aids(held_out=(Prompt.of([Message(role="user", content=QUESTION)], family=family),))
    assert curate(bench.contents, CurationConfig(), aids).dropped == ()


def test_terms_change_answers_and_rewrites_and_no_question() -> None:
    terms = Terminology.model_validate({"kind": "terminology", "terms": [
        {"preferred": "e-mail", "instead_of": ["email"], "replace": True}]})
    bench = Bench()
    bench.rated("an email?", "an email", by=[rate(rewrite="my email")])
    result = curate(bench.contents, CurationConfig(), Aids(terminology=terms))
    assert [row.text for row in (*result.contents.prompts, *result.contents.completions, *result.rewrites)] == [
        "an email?", "an e-mail", "my e-mail"]
    assert [example.before for example in result.examples] == ["an email", "my email"]
    assert [example.after for example in result.examples] == ["an e-mail", "my e-mail"]


def test_marks_follow_the_text_that_is_changed() -> None:
    terms = Terminology.model_validate({"kind": "terminology", "terms": [
        {"preferred": "electronic mail", "instead_of": ["email"], "replace": True}]})
    bench = Bench()
    bench.rated("q", "an email to Anna", by=[rate("incorrect").model_copy(update={"spans": (Span(start=12, end=16),)})])
    kept = curate(bench.contents, CurationConfig(), Aids(terminology=terms)).contents
    answer = kept.ratings[0].answer
    assert isinstance(answer, RateAnswer)
    assert [kept.completions[0].text[span.start:span.end] for span in answer.spans] == ["Anna"]


def test_personal_data_stands_in_no_file_of_a_curated_folder(tmp_path: Path) -> None:
    pytest.importorskip("presidio_analyzer", reason="presidio-analyzer comes with the `curation` extra")
    bench = Bench()
    bench.rated("Is a@example.com r\u00c3\u00a9al?", "Write to b@example.com", by=[rate(rewrite="c@example.com caf\u00c3\u00a9")])
    masker = Masker(key=b"k", mask=frozenset({"email"}), flag=frozenset())
    run(CurationConfig(), snapshot=bench.sealed(tmp_path / "snapshot"), out=tmp_path / "out", aids=Aids(masker=masker))
    files = [path for path in (tmp_path / "out").iterdir() if path.is_file()]
    assert {"report.html", "changed.jsonl", "ratings.jsonl"} <= {path.name for path in files}
    assert [path.name for path in files if "@example.com" in path.read_text(encoding="utf-8")] == []


def test_what_was_masked_at_sealing_is_accounted_for_row_by_row() -> None:
    bench = Bench()
    bench.rated("who is <EMAIL_12>?", "<EMAIL_12> or <PHONE_3>", by=[rate(rewrite="<IP_4>").model_copy(
        update={"comment": "see <IBAN_5>"})])
    made = curate(bench.contents, CurationConfig())
    assert [(row.kind, row.step, row.detail.partition(";")[0]) for row in made.changed] == [
        ("completion", "pii", "email, phone"), ("prompt", "pii", "email"), ("rating", "pii", "ip"), ("rating", "pii", "iban")]
    # One rating, whose rewrite and comment were masked, is one row.
    assert made.card.changed == {"completion": {"pii": 1}, "prompt": {"pii": 1}, "rating": {"pii": 1}}
    assert made.card.masked == {"email": 2, "phone": 1, "ip": 1, "iban": 1}
    assert {row.after for row in made.examples} >= {"who is <EMAIL_12>?", "see <IBAN_5>"}


def test_accepted_answers_that_disagree_and_near_duplicates_are_pointed_out() -> None:
    bench = Bench()
    bench.rated("q", "The parcel takes 5 days.", by=["correct"])
    bench.rated("q", "The parcel takes 14 days.", by=["correct"])
    bench.rated("q", "the parcel takes 5 days", by=["correct"])
    bench.rated("q", "The parcel takes 99 days.", by=["incorrect"])
    flagged = curate(bench.contents, CurationConfig()).card.flagged["completion"]
    assert flagged == {"contradiction": 2, "near duplicate": 1}


def test_rewrites_that_disagree_with_each_other_or_with_an_accepted_answer_are_pointed_out() -> None:
    bench = Bench()
    bench.rated("How many days of leave?", "Some days.", by=[rate("incorrect", rewrite=f"{days} days.") for days in (25, 30)])
    kept = bench.rated("How many days of leave?", "There are 25.", by=["correct"])
    bench.rated("And in Rome?", "Some.", by=[rate("incorrect", rewrite="30 days.")])
    first, second = sorted(row.id for row in bench.ratings[:2])
    says = {row.id: bench.rewrites[row.id][:2] for row in bench.ratings[:2]}
    thirty = first if says[first] == "30" else second
    flagged = {(row.id, row.reason) for row in curate(bench.contents, CurationConfig()).flagged if row.step == "contradiction"}
    assert (thirty, f"accepted like {kept.id}, which says 25 against 30") in flagged
    assert (second, f"beside the rewrite of {first}, which says {says[first]} against {says[second]}") in flagged
    assert {id for id, _ in flagged} == {thirty, second}


def test_what_is_wanted_and_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedback.guardrails.recognizers.is_installed", lambda: False)
    monkeypatch.setattr("feedback.curation.aids.can_repair", lambda: False)
    said = gather_aids(CurationConfig(), project=None).said
    assert [sentence.split(":")[0] for sentence in said] == ["personal data was not looked for", "Unicode was not repaired"]
    assert all("pip install" in sentence for sentence in said)


def test_a_plan_writes_nothing_and_counts_what_the_work_would_do(tmp_path: Path) -> None:
    bench = Bench()
    bench.rated("q", "", by=["correct"])
    sealed = bench.sealed(tmp_path / "snapshot")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    card = plan(CONFIG, snapshot=sealed).card
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    run(CONFIG, snapshot=sealed, out=tmp_path / "out")
    assert json.loads((tmp_path / "out" / "card.json").read_text()) == card.model_dump(mode="json")
