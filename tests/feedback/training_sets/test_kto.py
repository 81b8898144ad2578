"""KTO rows: what is wanted, what is not, and what nobody can say."""

from __future__ import annotations

from feedback.schemas import Flag
from feedback.training_sets.write import TrainingSets, build
from tests.feedback.reviewed import Bench, rate
from tests.feedback.training_sets.stages import STAGE


def built(bench: Bench) -> TrainingSets:
    return build(bench.contents, STAGE, rewrites=bench.rewrites)


def labels(bench: Bench) -> dict[str, bool]:
    return {row.completion: row.label for row in built(bench).kto}


def test_demonstrations_are_wanted_and_incorrect_false_and_unsafe_answers_are_not() -> None:
    bench = Bench()
    bench.rated("q", "good", by=["correct"])
    bench.rated("q", "wrong", by=[rate("incorrect", rewrite="right")])
    bench.rated("q", "false", by=[rate("partially correct", flags=[Flag.HALLUCINATED])])
    bench.rated("q", "unsafe", by=[rate(criteria={"safety": 1})])
    assert labels(bench) == {"good": True, "right": True, "wrong": False, "false": False, "unsafe": False}


def test_answers_in_between_have_no_label_and_are_counted() -> None:
    bench = Bench()
    bench.rated("q", "half", by=["partially correct"])
    bench.rated("q", "split", by=["correct", "incorrect"])
    bench.rated("q", "good", by=["correct"])
    sets = built(bench)
    assert [row.completion for row in sets.kto] == ["good"]
    assert sets.card.labels_left_out["neither wanted nor unwanted"] == 2


def test_an_answer_that_reviewers_contradict_each_other_about_has_no_label() -> None:
    bench = Bench()
    bench.rated("q", "maybe", by=["correct"])
    bench.rated("q ", "maybe ", by=["incorrect"])
    sets = built(bench)
    assert sets.kto == ()
    assert sets.card.labels_left_out["wanted by some reviewers and unwanted by others"] == 1


def test_a_label_rests_on_the_people_who_gave_it() -> None:
    bench = Bench()
    shown = bench.rated("q", "wrong", by=["incorrect", "incorrect"])
    row, = built(bench).kto
    assert row.sources.completions == (shown.id,)
    assert len(row.sources.ratings) == 2
