"""What has become of recorded acts: their latest verdicts, and which of them still wait.

One table for each statement, and the citizen by value where only one is asked about: so a question
about one person goes to her shard alone, and one about many is answered shard by shard.
"""

from collections.abc import Mapping
from typing import Final

from service.bulk import array_of
from service.pipelining import Connection, Rows

COUNTS: Final = frozenset({"certified", "pending"})
"""Latest verdicts with which an act stands in the way of others."""

_LATEST: Final = "SELECT DISTINCT ON (v.citizen_id, v.activity_id)"

READ_LATEST: Final = f"""
{_LATEST} replace(v.activity_id::text, '-', ''), v.verdict
FROM unnest(%s::uuid[], %s::uuid[]) AS asked (citizen_id, activity_id)
JOIN verdict v ON v.citizen_id = asked.citizen_id AND v.activity_id = asked.activity_id
ORDER BY v.citizen_id, v.activity_id, v.seq DESC
"""

READ_LATEST_OF_ONE: Final = f"""
{_LATEST} replace(v.activity_id::text, '-', ''), v.verdict
FROM verdict v WHERE v.citizen_id = %s AND v.activity_id = ANY(%s::uuid[])
ORDER BY v.citizen_id, v.activity_id, v.seq DESC
"""

READ_WAITING: Final = """
SELECT replace(p.activity_id::text, '-', ''), p.source_id IS NULL
FROM unnest(%s::uuid[], %s::uuid[]) AS asked (citizen_id, activity_id)
JOIN pending_activity p
    ON p.citizen_id = asked.citizen_id AND p.activity_id = asked.activity_id
"""

READ_WAITING_OF_ONE: Final = """
SELECT replace(p.activity_id::text, '-', ''), p.source_id IS NULL
FROM pending_activity p WHERE p.citizen_id = %s AND p.activity_id = ANY(%s::uuid[])
"""


def ask_latest_verdicts(connection: Connection, acts: Mapping[str, str]) -> Rows:
    """Ask for the latest verdict on each act that was decided about again.

    Args:
        connection: in a transaction that holds the citizens' locks.
        acts: activity id to citizen id, both hexadecimal.

    Returns:
        Rows of activity id and verdict; an act with its first verdict only has none.
    """
    return _asked(connection, acts, READ_LATEST, READ_LATEST_OF_ONE)


def ask_waiting(connection: Connection, acts: Mapping[str, str]) -> Rows:
    """Ask which acts wait for certification.

    Returns:
        Rows of activity id and whether the citizen recorded it herself.
    """
    return _asked(connection, acts, READ_WAITING, READ_WAITING_OF_ONE)


def _asked(connection: Connection, acts: Mapping[str, str], of_many: str, of_one: str) -> Rows:
    citizens = set(acts.values())
    if len(citizens) == 1:
        return connection.execute(of_one, (citizens.pop(), array_of(acts)))
    return connection.execute(of_many, (array_of(acts.values()), array_of(acts)))
