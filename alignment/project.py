"""A project on disk: where its files are, and the prompts, rubric and store they hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from alignment.config import ProjectConfig, read_project
from feedback.errors import InvalidInput, Locked
from feedback.gold import Gold, read_gold
from feedback.jsonl import raise_problems
from feedback.prompts import read_prompts
from feedback.rubric import Rubric, read_rubric
from feedback.schemas import Prompt

if TYPE_CHECKING:
    from feedback.store.store import Store


@dataclass(frozen=True)
class Project:
    """A project folder and its configuration."""

    folder: Path
    config: ProjectConfig

    @classmethod
    def at(cls, folder: Path, overrides: tuple[str, ...] = ()) -> Project:
        """The project in `folder`. Raises InvalidInput when there is none or its configuration is wrong."""
        return cls(folder=folder, config=read_project(folder, overrides))

    @property
    def rounds(self) -> Path:
        """Holds one numbered folder per round."""
        return self.folder / "rounds"

    def round(self, number: int) -> Path:
        """The folder of a round."""
        return self.rounds / f"{number:04d}"

    @property
    def round_numbers(self) -> list[int]:
        """Rounds that have a folder, rising."""
        found = self.rounds.glob("[0-9][0-9][0-9][0-9]") if self.rounds.is_dir() else []
        return sorted(int(path.name) for path in found)

    @property
    def policies(self) -> Path:
        """Holds the registered adapters, by policy id."""
        return self.folder / "policies"

    @cached_property
    def rubric(self) -> Rubric:
        """What reviewers are asked."""
        return read_rubric(self.folder / self.config.rubric)

    @cached_property
    def prompts(self) -> tuple[Prompt, ...]:
        """All prompts, the critical ones first. Raises InvalidInput with the problems of both files, also for one in both."""
        problems: list[str] = []
        critical, others = (self._read(name, problems, critical=name == self.config.critical)
                            for name in (self.config.critical, self.config.prompts))
        raise_problems(problems)
        known = {prompt.id for prompt in critical}
        if twice := [prompt for prompt in others if prompt.id in known]:
            raise InvalidInput([f"{self.folder / self.config.prompts}: {prompt.text[:60]!r} stands in "
                                f"{self.config.critical} as well; remove one" for prompt in twice])
        return (*critical, *others)

    @cached_property
    def gold(self) -> tuple[Gold, ...]:
        """Known answers, to be mixed into the queues. Raises InvalidInput with every problem in their file."""
        return tuple(read_gold(self.folder / self.config.gold, prompts=self.prompts, rubric=self.rubric))

    def _read(self, name: str, problems: list[str], *, critical: bool) -> list[Prompt]:
        try:
            return read_prompts(self.folder / name, critical=critical)
        except InvalidInput as error:
            problems += error.problems
            return []

    def open_store(self) -> Store:
        """The project's store: a file in the project, or the database that `store:` names."""
        from feedback.store.store import Store, located

        return Store.open(located(self.config.store, self.folder))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the project's rounds: one worker at a time. Raises Locked when another process holds them."""
        from filelock import FileLock, Timeout

        try:
            with FileLock(self.folder / ".round.lock", timeout=0):
                yield
        except Timeout:
            raise Locked(f"{self.folder}: another `redpen round run` is at work here; wait for it or stop it") from None
