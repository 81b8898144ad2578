"""Defaults fit the rows and the device, and whatever the section says wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedback.errors import MissingPart
from sft.train import RECIPE
from sft.trainer_args import trainer_arguments
from tests.tiny import tiny_config


def made(rows: int, **given: object):
    scratch = Path("rounds/0003/05_sft.partial/scratch")
    return trainer_arguments(RECIPE, given, model=tiny_config(Path("base")), seed=7, rows=rows, scratch=scratch)


@pytest.mark.parametrize(("rows", "epochs", "batch"), [
    (3, 10, 3),         # one step an epoch, and never more than 10 epochs
    (100, 6, 16),       # 7 steps an epoch: 6 epochs are the first that make 40 steps
    (5000, 3, 16),
])
def test_small_sets_are_gone_through_more_often_but_not_without_end(rows, epochs, batch):
    arguments = made(rows)
    assert (arguments.num_train_epochs, arguments.per_device_train_batch_size) == (epochs, batch)


def test_on_a_cpu_nothing_is_computed_twice_and_nothing_rounded():
    arguments = made(100)
    assert (arguments.use_cpu, arguments.bf16, arguments.activation_checkpointing) == (True, False, False)
    assert arguments.max_length is None
    assert arguments.seed == 7


def test_what_the_section_says_wins():
    arguments = made(100, learning_rate=1e-5, num_train_epochs=1, warmup_steps=3, save_steps=4, gradient_checkpointing=True)
    assert (arguments.learning_rate, arguments.num_train_epochs, arguments.warmup_steps) == (1e-5, 1, 3)
    assert (str(arguments.save_strategy.value), arguments.save_steps) == ("steps", 4)
    assert arguments.activation_checkpointing


def test_a_short_run_has_no_warm_up_whose_first_step_would_do_nothing():
    assert made(100, max_steps=2).warmup_steps == 0
    assert made(100, max_steps=40).warmup_steps == 0.05


def test_a_tracker_sees_the_round_and_the_stage():
    assert made(100).run_name == "0003/05_sft"


def test_a_tracker_that_is_not_installed_is_named_before_a_model_is_loaded(monkeypatch):
    monkeypatch.setattr("sft.trainer_args.importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPart, match=r"report_to names mlflow, .*pip install mlflow-skinny"):
        made(100, report_to=["mlflow"])
