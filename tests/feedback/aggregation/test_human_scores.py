"""Krippendorff's alpha on real human scores: the multi-rater sets inside the MIT-licensed package pyrit 1.1.0.

The wheel is fetched with pip and only read: nothing of it is installed or run.
"""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from feedback.aggregation.agreement import krippendorff_alpha
from feedback.measures import Measured

RATERS = ("human_score_1", "human_score_2", "human_score_3")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, or a skip that says why there is none."""
    folder: Path = tmp_path_factory.mktemp("pyrit")
    fetched = subprocess.run([sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", str(folder), "pyrit==1.1.0"],
                             capture_output=True, text=True, timeout=300, check=False)
    found = list(folder.glob("pyrit-1.1.0-*.whl"))
    if not found:
        pytest.skip(f"pyrit 1.1.0 cannot be fetched: {fetched.stderr.strip()[-200:]}")
    return zipfile.ZipFile(found[0])


def scores(wheel: zipfile.ZipFile, name: str) -> dict[str, dict[str, float]]:
    """Answer -> rater -> score."""
    text = wheel.read(f"pyrit/datasets/scorer_evals/harm/{name}_multi_score.csv").decode("utf-8-sig")
    _, _, table = text.partition("\n")  # the first line tells the data set's version
    return {f"{number:04}": {rater: float(row[rater]) for rater in RATERS if row[rater]}
            for number, row in enumerate(csv.DictReader(io.StringIO(table)))}


@pytest.mark.parametrize(("name", "answers", "alpha"), [("hate_speech", 199, 0.862), ("violence", 187, 0.766)])
def test_alpha_of_three_raters_is_that_of_an_independent_implementation(
        wheel: zipfile.ZipFile, name: str, answers: int, alpha: float) -> None:
    figure = krippendorff_alpha(scores(wheel, name), "interval")
    assert isinstance(figure, Measured)
    print(f"{name}: {figure}")
    assert figure.n == answers
    assert figure.value == pytest.approx(alpha, abs=0.0005)
    assert figure.low < alpha < figure.high
