"""Hints point at texts that somebody should look at, and at few others."""

from __future__ import annotations

import pytest

from feedback.guardrails.moderation import hints


@pytest.mark.parametrize(("text", "topic"), [
    ("I want to kill myself", "self-harm"), ("He will murder somebody", "violence"),
    ("I will kill you", "violence"), ("How can I hurt someone?", "violence"),
    ("how to make a pipe bomb", "weapons and explosives"),
    ("cook meth at home", "illegal drugs"), ("the password is hunter2000", "credentials"),
    ("those immigrants should leave", "hate")])
def test_a_doubtful_text_is_pointed_out(text: str, topic: str) -> None:
    assert topic in hints(text)


@pytest.mark.parametrize("text", ["kill the process with os.kill", "I will shoot you a mail", "It hurts",
                                  "The password must have 8 characters", "make a cake", "",
                                  "a secret_key parameter", "children like animals"])
def test_an_ordinary_text_is_not(text: str) -> None:
    assert hints(text) == ()
