"""Records whose status a killed server did not get to write.

The server saves an answer in one transaction and the record's status, which follows from the answers, in a second one.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

_WANTED = "coalesce(route.wanted, json_extract(dataset.distribution, '$.min_submitted'))"
_DUE = """
    WITH given AS MATERIALIZED (
        SELECT document, count(*) AS submitted FROM redpen_answers WHERE status = 'submitted' GROUP BY document)
    SELECT document.record_id, CASE WHEN coalesce(given.submitted, 0) >= {wanted} THEN 'completed' ELSE 'pending' END AS due
    FROM redpen_documents AS document JOIN datasets AS dataset ON dataset.id = document.dataset_id
    LEFT JOIN given ON given.document = document.number
    LEFT JOIN redpen_routes AS route ON route.document = document.number
    WHERE json_extract(dataset.distribution, '$.strategy') = 'overlap' AND due <> document.status
"""


def finish(database: Path, *, routed: bool) -> int:
    """Write the statuses that are due; how many there were. When routed, each record says how many reviews it wants."""
    wanted = _WANTED if routed else "json_extract(dataset.distribution, '$.min_submitted')"
    connection = sqlite3.connect(database, timeout=60)
    try:
        due = connection.execute(_DUE.format(wanted=wanted)).fetchall()
        connection.executemany("UPDATE records SET status = ?, updated_at = strftime('%Y-%m-%d %H:%M:%f000', 'now') WHERE id = ?",
                               [(status, record) for record, status in due])
        connection.commit()
        return len(due)
    finally:
        connection.close()
