"""Real small trainings: each disease is provoked and found, and in a healthy run none is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.alignment.curves.provoked import HEALTHY_RATE, demonstrated, names, preferences, report, trained


@pytest.fixture(scope="module")
def healthy(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("healthy"), base, preferences())


def test_a_healthy_run_has_no_finding_and_everything_was_looked_for(healthy):
    made = report(healthy)
    assert (made.findings, made.unsaid) == ((), ())
    assert made.figures["accuracy_set_apart"] > 0.6


def test_the_report_holds_the_curves_the_groups_and_no_foreign_address(healthy):
    made, page = report(healthy), (healthy / "report.html").read_text(encoding="utf-8")
    assert {"loss", "rewards/margins", "logps/chosen", "grad_norm", "learning_rate"} <= set(made.curves)
    assert {group.group for group in made.groups} >= {"origin: ranking", "chosen is longer", "chosen is shorter"}
    assert "<script" not in page
    assert "http" not in page
    assert page.count("<svg") >= 8


def test_families_set_apart_were_read_at_every_point_and_never_trained_on(healthy):
    made = report(healthy)
    assert made.counts["pairs"] + made.counts["pairs_set_apart"] == 110
    lines = (healthy / "logs" / "curve.jsonl").read_text(encoding="utf-8").splitlines()
    assert sum('"apart/chosen"' in line for line in lines) == 6


def test_a_learning_rate_a_thousand_times_too_high_is_found(base, tmp_path):
    assert "learning_rate_too_high" in names(trained(tmp_path, base, preferences(), learning_rate=1000 * HEALTHY_RATE))


def test_pairs_without_a_doubt_are_too_easy(base, tmp_path):
    assert names(trained(tmp_path, base, preferences(noise=0.0), learning_rate=2 * HEALTHY_RATE)) == ["pairs_too_easy"]


def test_length_that_decides_the_pairs_is_found(base, tmp_path):
    assert "length_exploitation" in names(trained(tmp_path, base, preferences(noise=0.1, longer=True)))


def test_repeated_pairs_are_found(base, tmp_path):
    rows = preferences()
    again = [row.model_copy(update={"id": f"again-{row.id}", "chosen": f"{row.chosen.upper()}!"}) for row in rows[:30]]
    assert names(trained(tmp_path, base, rows + again)) == ["duplicates"]


def test_a_reference_that_says_something_else_is_found(base, healthy, tmp_path):
    other = [row.model_copy(update={"chosen": "!" * (4 + place % 7)}) for place, row in enumerate(preferences())]
    strange = trained(tmp_path / "strange", base, other, learning_rate=1e-2)
    found = names(trained(tmp_path, base, preferences(), parent=healthy / "adapter", reference=strange / "adapter", max_steps=10))
    assert found[0] == "wrong_reference"


def test_preferred_answers_that_a_bold_run_makes_unlikely_collapse(base, tmp_path):
    rows = preferences()
    parent = demonstrated(tmp_path, base, rows)
    assert "chosen_collapsing" in names(trained(tmp_path, base, rows, parent=parent, beta=0.05, learning_rate=1e-2,
                                                num_train_epochs=3))


def test_preferences_at_random_learned_by_heart_are_overfitting(base, tmp_path):
    rows = preferences(110, noise=0.5)
    assert "overfitting" in names(trained(tmp_path, base, rows, watched_share=0.3, learning_rate=4e-3, num_train_epochs=14))


def test_a_few_pairs_are_said_to_be_few(base, tmp_path):
    out = trained(tmp_path, base, preferences(20), max_steps=4)
    assert "too_few" in names(out)
    assert {unsaid.name for unsaid in report(out).unsaid} >= {"overfitting", "pairs_too_easy"}
