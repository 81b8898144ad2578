"""Every error that Redpen raises on purpose.

    RedpenError                 the command line prints it without a traceback and exits 1
    +-- InvalidInput            a file, key or argument that a person wrote; holds every problem found, not only the first
    +-- NothingToDo             a stage was asked to work on nothing: no ratings, only ties, no new prompts
    +-- DeskError               the Argilla server
    |   +-- DeskUnreachable     no answer, or not an Argilla server
    |   +-- DeskRefused         it answered and said no: key, role, missing workspace
    +-- HubError                the Hugging Face Hub: out of reach, or it refused an export
    +-- StoreError              the store's database: damaged, full, read-only, newer than this code
    +-- LineageError            a file is not the one that was recorded
    |   +-- BaseMismatch        an adapter belongs to another base model
    +-- StageRefused            a stage would have reported success without having worked
    +-- Locked                  another process is doing this work now
    +-- MissingPart             an optional package or program is needed and not installed
"""

from __future__ import annotations

from collections.abc import Iterable


class RedpenError(Exception):
    """Something a person can act on. The message says where, what was found, what is allowed and what to do."""


class InvalidInput(RedpenError):
    """What a person wrote cannot be used. All problems are listed; nothing was imported or changed."""

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class NothingToDo(RedpenError):
    """There was nothing to work on, which is never reported as success."""


class DeskError(RedpenError):
    """The Argilla server did not do what was asked."""


class DeskUnreachable(DeskError):
    """No Argilla server answers at the address."""


class DeskRefused(DeskError):
    """The Argilla server answered and refused."""


class HubError(RedpenError):
    """The Hugging Face Hub did not take an export; the folder that was to be pushed is whole."""


class StoreError(RedpenError):
    """The store's database cannot be opened, read or written; nothing was changed."""


class LineageError(RedpenError):
    """A recorded file is missing or is not what was recorded."""


class BaseMismatch(LineageError):
    """An adapter was trained on another base model than the one loaded."""


class StageRefused(RedpenError):
    """A stage stopped because going on would have produced a result that means nothing."""


class Locked(RedpenError):
    """Another process holds the work."""


class MissingPart(RedpenError):
    """A package or program that this command needs is not installed."""
