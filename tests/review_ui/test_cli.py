import errno
import subprocess
import sys

import pytest

from feedback.errors import InvalidInput
from review_ui import cli


def fail_with(error: BaseException):
    def command() -> None:
        raise error
    return command


@pytest.mark.parametrize(("error", "code", "said"), [
    (InvalidInput(["a.yaml: one", "a.yaml: two"]), 1, "redpen: a.yaml: one\na.yaml: two\n"),
    (OSError(errno.ENOSPC, "No space left on device", "rounds/0001"), 1, "redpen: the disk is full (rounds/0001)"),
    (KeyboardInterrupt(), 130, "redpen: stopped; the same command goes on from here"),
])
def test_what_a_person_can_act_on_is_told_without_a_traceback(error, code, said, monkeypatch, capsys):
    monkeypatch.setattr(cli, "app", fail_with(error))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    assert capsys.readouterr().err.startswith(said)


def test_a_programming_error_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(cli, "app", fail_with(PermissionError(errno.EACCES, "not yours")))
    with pytest.raises(PermissionError, match="not yours"):
        cli.main()


def test_wrong_usage_exits_2():
    ended = subprocess.run([sys.executable, "-m", "review_ui.cli", "round", "rnu"], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "rnu" in ended.stderr
