"""What has become of records that are sent again: restated by their source, or taken back.

Asked only about records that are known, so a feed of new ones pays nothing for it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from service.activities.intake.outcomes import Known
from service.bulk import array_of
from service.pipelining import Connection

TAKEN_BACK: Final = ("corrected", "withdrawn-by-source", "found-false", "double-record")
"""Codes of verdicts after which a record does not stand as it was sent."""

_TAKEN_BACK: Final = """
SELECT replace(v.activity_id::text, '-', ''), v.verdict, v.code
FROM unnest(%s::uuid[], %s::uuid[]) AS asked (citizen_id, activity_id)
JOIN verdict v ON v.citizen_id = asked.citizen_id AND v.activity_id = asked.activity_id
WHERE v.code = ANY(%s)
"""

_IN_ORDER: Final = "ORDER BY v.citizen_id, v.activity_id, v.seq"

READ_TAKEN_BACK: Final = _TAKEN_BACK + _IN_ORDER

# Of one citizen, named by value: then only her shard is asked.
READ_TAKEN_BACK_OF_ONE: Final = f"{_TAKEN_BACK}  AND v.citizen_id = %s\n{_IN_ORDER}"

_RESTATED: Final = """
SELECT replace(c.first_id::text, '-', ''), replace(a.id::text, '-', ''),
       replace(a.citizen_id::text, '-', ''), encode(a.evidence_digest, 'hex'),
       a.verdict, a.code, a.params, a.reduction_g, a.points
FROM unnest(%s::uuid[], %s::uuid[]) AS asked (citizen_id, first_id)
JOIN correction c ON c.citizen_id = asked.citizen_id AND c.first_id = asked.first_id
JOIN activity a ON a.citizen_id = c.citizen_id AND a.id = c.activity_id
"""

READ_RESTATED: Final = f"{_RESTATED}ORDER BY a.revision DESC"

READ_RESTATED_OF_ONE: Final = f"{_RESTATED}WHERE c.citizen_id = %s\nORDER BY a.revision DESC"


def revisions_of(connection: Connection, known: Mapping[str, Known]) -> dict[str, Sequence[Known]]:
    """Return each known record's revisions, the newest first, and what became of them.

    Args:
        connection: in a transaction that holds the citizens' locks.
        known: the first revisions, by activity id.
    """
    revisions: dict[str, Sequence[Known]] = {first: (each,) for first, each in known.items()}
    gone = _taken_back(connection, known)
    if not gone:
        return revisions
    restated = _restated(connection, [known[first] for first in gone])
    gone |= _taken_back(connection, {each.activity_id: each for each in _all(restated)})
    for first in gone.keys() & known.keys():
        chain = (*restated[first], known[first])
        revisions[first] = [_with_fate(each, gone.get(each.activity_id)) for each in chain]
    return revisions


def _restated(connection: Connection, firsts: Sequence[Known]) -> defaultdict[str, list[Known]]:
    found: defaultdict[str, list[Known]] = defaultdict(list)
    asked = _asked(connection, firsts, (), READ_RESTATED, READ_RESTATED_OF_ONE)
    for first, *row in asked:
        found[first].append(Known(*row))
    return found


def _taken_back(connection: Connection, known: Mapping[str, Known]) -> dict[str, tuple[str, str]]:
    """Return the verdict and code with which any of these was taken back."""
    if not known:
        return {}
    records, codes = list(known.values()), (list(TAKEN_BACK),)
    rows = _asked(connection, records, codes, READ_TAKEN_BACK, READ_TAKEN_BACK_OF_ONE)
    return {activity_id: (verdict, code) for activity_id, verdict, code in rows}


def _asked(
    connection: Connection,
    records: Sequence[Known],
    terms: tuple[Any, ...],
    of_many: str,
    of_one: str,
) -> list[tuple[Any, ...]]:
    asked = (*_arrays_of(records), *terms)
    citizens = {record.citizen_id for record in records}
    if len(citizens) == 1:
        return connection.execute(of_one, (*asked, *citizens)).fetchall()
    return connection.execute(of_many, asked).fetchall()


def _with_fate(revision: Known, fate: tuple[str, str] | None) -> Known:
    if fate is None:
        return revision
    verdict, code = fate
    return revision._replace(
        present_verdict=verdict, code=code, params=None, reduction_g=0, points=0
    )


def _arrays_of(known: Sequence[Known]) -> tuple[str, str]:
    return (
        array_of(each.citizen_id for each in known),
        array_of(each.activity_id for each in known),
    )


def _all(restated: Mapping[str, Sequence[Known]]) -> list[Known]:
    return [each for chain in restated.values() for each in chain]
