"""What the rest of the desk needs of a server. `argilla_desk` is the real one; tests have one in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from feedback.desk.codec import RecordDraft
from feedback.desk.layout import Layout
from feedback.ids import ItemId, ReviewerId


def is_simulated(user_name: str) -> bool:
    """True for the user names of simulated reviewers: they begin with `sim-`."""
    return user_name.startswith("sim-")


@dataclass(frozen=True)
class Dataset:
    """A dataset as the server holds it."""

    id: str
    name: str
    layout: Layout | None
    """None when it is not one that Redpen could have made."""
    ready: bool
    """False when its creation was interrupted: reviewers cannot see it, and it holds nothing."""
    active_at: datetime
    """When a reviewer last saved, submitted or deleted something in it, by the server's clock."""


@dataclass(frozen=True)
class Response:
    """What one reviewer has done with one record."""

    id: str
    user_id: ReviewerId
    status: Literal["submitted", "draft", "discarded"]
    values: Mapping[str, Any]
    """Question name to value."""
    updated_at: datetime


@dataclass(frozen=True)
class Record:
    """A record with everybody's responses."""

    id: str
    item_id: str | None
    """Its external id: the item's, when Redpen pushed it."""
    responses: tuple[Response, ...]


@dataclass(frozen=True)
class Page:
    """Some records of a listing, in the order in which they were pushed."""

    records: tuple[Record, ...]
    total: int
    """Records in the whole dataset."""


@dataclass(frozen=True)
class Answers:
    """Some of a dataset's answers, in no order, each record with only those of its responses that belong to them."""

    records: tuple[Record, ...]
    submitted: int
    """Submitted responses in the whole dataset at that moment."""
    at: datetime
    """When they were read, by the server's clock."""


@dataclass(frozen=True)
class Counts:
    """One reviewer's responses in one dataset, by the state of the record they belong to."""

    submitted_on_pending: int
    """Submitted, on records that wait for more reviewers."""
    submitted_on_completed: int
    unfinished_on_pending: int
    """Drafts and discards, on records that wait for reviewers."""


@dataclass(frozen=True)
class People:
    """The accounts of a server, as one workspace sees them."""

    names: Mapping[ReviewerId, str]
    """Every account's user name."""
    reviewers: frozenset[str]
    """Names of the annotators of the workspace."""
    managers: frozenset[str]
    """Names of the owners, and of the admins of the workspace: they may rate as well."""


@dataclass(frozen=True)
class Progress:
    """How far one dataset is."""

    records: int
    pending: int
    """Records that wait for reviewers."""
    reviews_wanted: int
    """Reviews that those want in all, the ones they have included."""
    users: Mapping[str, Counts]
    """By user name; those who have not started are missing."""


class Desk(Protocol):
    """An Argilla workspace. Every method raises DeskUnreachable or DeskRefused where the server does not do its part."""

    workspace: str

    def close(self) -> None:
        """Give the connections back."""

    def has_workspace(self) -> bool:
        """True when the workspace exists and this user may see it."""

    def create_workspace(self) -> None:
        """Make the workspace."""

    def datasets(self) -> dict[str, Dataset]:
        """The workspace's datasets by name."""

    def create_dataset(self, layout: Layout) -> Dataset:
        """Make a dataset and open it to reviewers."""

    def delete_dataset(self, dataset: Dataset) -> None:
        """Remove a dataset; only used on one whose creation was interrupted."""

    def update_dataset(self, dataset: Dataset, layout: Layout) -> None:
        """Bring guidelines, titles and descriptions up to the layout; questions themselves cannot change."""

    def upsert(self, dataset: Dataset, records: Sequence[RecordDraft]) -> dict[ItemId, str]:
        """Add the records, or find those that are there already; the server's record id by item."""

    def routes_records(self) -> bool:
        """True when the server heeds the metadata that `feedback.desk.routing` writes."""

    def add_metadata_properties(self, dataset: Dataset, properties: Mapping[str, str]) -> None:
        """Give the dataset these metadata properties (name to type), hidden from reviewers, where it lacks them."""

    def change_metadata(self, record_id: str, changes: Mapping[str, object]) -> None:
        """Change some of a record's metadata and leave the rest. Raises DeskRefused when the record is gone."""

    def pages(self, dataset: Dataset) -> Iterator[Page]:
        """All records with their responses."""

    def answers(self, dataset: Dataset, *, since: datetime | None) -> Iterator[Answers] | None:
        """Everybody's responses, or those that changed since a moment; None where the server cannot tell them apart."""

    def record(self, record_id: str) -> Record | None:
        """One record with its responses; None when it does not exist any more."""

    def users(self) -> dict[ReviewerId, str]:
        """Every account's user name by id."""

    def people(self) -> People:
        """Everybody who may rate in this workspace, and all other accounts."""

    def size(self, dataset: Dataset) -> int:
        """Records in a dataset."""

    def progress(self, dataset: Dataset) -> Progress:
        """How far a dataset is."""

    def waiting(self, dataset: Dataset) -> dict[str, int] | None:
        """Records that each person may review now, by user name; None where everybody may review everything."""
