"""Dates in filters, read as Elasticsearch reads them and written as SQLite holds them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from argilla_server.errors.future import UnprocessableEntityError

_PARTIAL = re.compile(r"^(\d{4})(?:-(\d{2}))?$")


def as_stored(value: Any, *, latest: bool) -> str:
    """A point in time as the server stores it (UTC, no zone). `latest` fills missing hours with the end of the day.

    Taken are ISO 8601 from a year alone to microseconds, with or without a zone, and milliseconds since 1970. Raises
    UnprocessableEntityError, which the person sees as status 422, for anything else.
    """
    try:
        moment = _moment(value, latest=latest)
    except (ValueError, OverflowError, OSError) as error:
        raise UnprocessableEntityError(f"{value!r} is no date; write it like 2026-01-31 or 2026-01-31T09:30:00") from error
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def _moment(value: Any, *, latest: bool) -> datetime:
    text = str(value).strip()
    if re.fullmatch(r"-?\d{5,}(\.\d*)?", text):
        return datetime.fromtimestamp(float(text) / 1000, UTC)
    if partial := _PARTIAL.match(text):
        moment = datetime(int(partial[1]), int(partial[2] or 1), 1)
        return _end_of_day(moment) if latest else moment
    moment = datetime.fromisoformat(text)
    return _end_of_day(moment) if latest and len(text) == len("2026-01-31") else moment


def _end_of_day(moment: datetime) -> datetime:
    return moment + timedelta(days=1, microseconds=-1)
