"""README.md says what is so: its table is the command line's own tree, and its examples are understood."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
import yaml
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from alignment.config import DpoConfig, RewardConfig
from feedback.config import DeskConfig, QueueConfig, Strict, validate
from review_ui.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUN = "pip install -c constraints.txt -e '.[train]' && redpen demo"
TEST = "pip install -c constraints.txt -e '.[dev]' && pytest"


def fenced(language: str) -> list[str]:
    """The text of every fenced block in that language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


def commands(group: TyperCommand | TyperGroup, name: str) -> Iterator[tuple[str, TyperCommand]]:
    """Every command below a group, with the words that call it."""
    if not isinstance(group, TyperGroup):
        yield name, group
        return
    for inner in group.list_commands(typer.Context(group)):
        command = group.get_command(typer.Context(group), inner)
        assert command is not None
        yield from commands(command, f"{name} {inner}")


TREE = dict(commands(typer.main.get_command(app), "redpen"))
EXAMPLES = [part.strip() for block in fenced("bash") for line in block.splitlines() for part in line.split("&&")
            if part.strip().startswith("redpen ")]
INLINE = sorted({text for text in re.findall(r"`(redpen [^`]+)`", README) if text not in TREE})


def table() -> str:
    """The table of commands as it should stand in the README."""
    def cell(command: TyperCommand) -> str:
        return " ".join((command.help or "").split("\n\n")[0].split()).replace("|", r"\|")

    rows = [f"| `{name}` | {cell(command)} |" for name, command in TREE.items()]
    return "\n".join(["| Command | What it does |", "|---|---|", *rows])


def parse(line: str) -> dict[str, object]:
    """The arguments that the command line would read from the line, nothing done. Raises TyperException when it reads none."""
    words = shlex.split(line)
    command: TyperCommand | TyperGroup = typer.main.get_command(app)
    while isinstance(command, TyperGroup):
        group = command
        inner = group.get_command(typer.Context(group), words[1]) if len(words) > 1 else None
        if inner is None:
            raise TyperException(f"{line}: no such command")
        command, words = inner, words[1:]
    return dict(command.make_context(words[0], words[1:]).params)


def test_the_two_commands_come_first_as_promised() -> None:
    first, second, *_ = [block.strip() for block in fenced("bash")]
    assert (first, second) == (RUN, TEST)
    assert README.index(TEST) < README.index("## ")


def test_ci_finds_exactly_the_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    program = re.search(r"awk '([^']+)'", script)
    assert program is not None
    found = subprocess.run(["awk", program[1], str(ROOT / "README.md")], capture_output=True, text=True, check=True).stdout
    assert found == TEST + "\n"


def test_the_table_of_commands_is_the_command_lines_own() -> None:
    written = re.search(r"<!-- commands -->\n(.*?)\n?<!-- /commands -->", README, flags=re.DOTALL)
    assert written is not None
    assert written[1] == table(), f"put this between the two comments of README.md:\n{table()}"


def test_every_command_says_what_it_does() -> None:
    assert [name for name, command in TREE.items() if not command.help] == []


def test_there_are_examples_to_check() -> None:
    assert len(EXAMPLES) >= 8


@pytest.mark.parametrize("line", [*EXAMPLES, *INLINE])
def test_an_example_is_understood(line: str) -> None:
    assert parse(line)


@pytest.mark.parametrize("line", ["redpen rounds run", "redpen serve --prot 1", "redpen round approve"])
def test_an_example_that_is_wrong_would_be_noticed(line: str) -> None:
    with pytest.raises(TyperException):
        parse(line)


def test_the_yaml_examples_are_understood() -> None:
    blocks = fenced("yaml")
    assert blocks
    for block in blocks:
        for key, said in yaml.safe_load(block).items():
            kinds: dict[str, type[Strict]] = {"argilla": DeskConfig, "queues": QueueConfig, "dpo": DpoConfig,
                                              "reward": RewardConfig}
            validate(said, kinds[key], source="README.md")


def test_links_inside_the_repository_lead_somewhere() -> None:
    missing = [target for target in re.findall(r"\]\(([^)#]+)\)", README)
               if not target.startswith("http") and not (ROOT / target).exists()]
    assert missing == []
