import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alignment.commands import round_app
from feedback.errors import InvalidInput


def outcomes(path: Path, *verdicts: str) -> Path:
    path.write_text("".join(json.dumps({"question": f"q{n}", "verdict": verdict}) + "\n" for n, verdict in enumerate(verdicts)))
    return path


def gate(path: Path, *options: str) -> dict:
    result = CliRunner().invoke(round_app, ["gate", "--outcomes", str(path), "--json", *options], catch_exceptions=False)
    return json.loads(result.stdout)


def test_zero_errors_in_149_pass_when_149_were_planned_and_177_when_one_may_peek(tmp_path):
    # 0.98^149 = 0.0493 and 0.98^148 = 0.0503
    planned = outcomes(tmp_path / "planned.jsonl", *["correct"] * 149)
    assert gate(planned, "--planned", "149")["outcome"] == "pass"
    assert gate(planned)["outcome"] == "not enough data"
    assert gate(outcomes(tmp_path / "peeked.jsonl", *["correct"] * 177))["outcome"] == "pass"


def test_a_model_that_knows_nothing_does_not_ship(tmp_path):
    assert gate(outcomes(tmp_path / "silent.jsonl", *["abstained"] * 1000))["outcome"] == "hold"


def test_every_bad_line_is_listed_and_nothing_decided(tmp_path):
    path = outcomes(tmp_path / "bad.jsonl", "correct", "right")
    path.write_text(path.read_text() + "{not json\n")
    with pytest.raises(InvalidInput) as error:
        gate(path)
    assert [problem.split(": ")[0] for problem in error.value.problems] == [f"{path}:2", f"{path}:3"]


def test_an_empty_file_is_not_enough_data_and_no_zero(tmp_path):
    decided = gate(outcomes(tmp_path / "empty.jsonl"))
    assert decided["outcome"] == "not enough data"
    assert decided["figures"]["hallucination"]["kind"] == "unscored"
