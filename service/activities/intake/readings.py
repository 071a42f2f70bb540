"""A meter's readings: no kilowatt-hour may stand in two that count.

Read under the citizen's lock, and only when a feed holds readings. Two readings of one account must
not overlap; what a citizen reads herself must not overlap with any other reading of hers, because
nobody knows from which meter it is. The operator's reading takes the place of her waiting one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.activities.intake.candidates import READING_DURATION_MAX_S, SELF_RECORDED, Candidate
from service.activities.intake.standings import COUNTS, ask_latest_verdicts, ask_waiting
from service.bulk import array_of
from service.methodologies.reasons import Reason
from service.pipelining import Connection

SHORTEST_S = 1.0
"""A reading without a period takes a second, so that it cannot be given twice."""

READING_OVERLAP = Reason("reading-overlap", {})

READ_OTHERS = f"""
SELECT replace(d.citizen_id::text, '-', ''), d.behavior, replace(d.activity_id::text, '-', ''),
       extract(epoch FROM d.started_at)::float8, extract(epoch FROM d.ended_at)::float8,
       encode(d.account_digest, 'hex'), a.tier = '{SELF_RECORDED}', d.counted
FROM unnest(%s::uuid[], %s::text[], %s::float8[], %s::float8[])
    AS span (citizen_id, behavior, from_s, to_s)
JOIN activity_detail d ON d.citizen_id = span.citizen_id AND d.behavior = span.behavior
    AND d.started_at >= to_timestamp(span.from_s - {READING_DURATION_MAX_S})
    AND d.started_at < to_timestamp(span.to_s)
JOIN activity a ON a.citizen_id = d.citizen_id AND a.id = d.activity_id
WHERE greatest(d.ended_at, d.started_at + interval '1 second') > to_timestamp(span.from_s)
"""

# Of one citizen, named by value: then only her shard is asked.
READ_OTHERS_OF_ONE = READ_OTHERS + " AND d.citizen_id = %s"


@dataclass(frozen=True, slots=True)
class Reading:
    """Another reading of the same citizen and behavior, that counts."""

    activity_id: str
    start_s: float
    end_s: float
    account_digest: str | None
    is_self_recorded: bool
    is_pending: bool


class Readings:
    """The readings around those of a part of a feed, and what the part adds to them."""

    def __init__(self) -> None:
        self._found: defaultdict[tuple[str, str], list[Reading]] = defaultdict(list)

    @classmethod
    def around(cls, connection: Connection, candidates: Sequence[Candidate]) -> "Readings":
        """Read what may overlap and counts; asks nothing where nothing is a reading."""
        readings = cls()
        spans = _spans(each for each in candidates if each.is_reading and each.reason is None)
        found = _read_others(connection, spans) if spans else []
        if not found:
            return readings
        acts = {activity_id: citizen_id for citizen_id, _, activity_id, *_ in found}
        latest, waiting = ask_latest_verdicts(connection, acts), ask_waiting(connection, acts)
        verdicts = dict(latest.fetchall())
        waits = {activity_id for activity_id, _ in waiting}
        for citizen_id, behavior, activity_id, start_s, end_s, account, hers, counted in found:
            if verdicts[activity_id] in COUNTS if activity_id in verdicts else counted:
                is_pending = activity_id in waits
                reading = Reading(activity_id, start_s, end_s, account, hers, is_pending)
                readings._found[citizen_id, behavior].append(reading)
        return readings

    def beside(self, candidate: Candidate, *, is_self_recorded: bool) -> list[Reading]:
        """Return the readings that may hold the same kilowatt-hours."""
        return [
            other
            for other in self._found.get((candidate.citizen_id, candidate.behavior), ())
            if (is_self_recorded or other.is_self_recorded or _same_account(other, candidate))
            and other.start_s < _end_s(candidate)
            and candidate.start_s < max(other.end_s, other.start_s + SHORTEST_S)
        ]

    def add(self, candidate: Candidate, *, is_pending: bool, is_self_recorded: bool) -> None:
        """Let later readings of the feed see this one."""
        self._found[candidate.citizen_id, candidate.behavior].append(
            Reading(
                candidate.activity_id,
                candidate.start_s,
                candidate.end_s,
                candidate.account_digest,
                is_self_recorded,
                is_pending,
            )
        )

    def remove(self, candidate: Candidate, gone: Iterable[Reading]) -> None:
        """Forget the readings whose place the candidate takes."""
        taken = {reading.activity_id for reading in gone}
        key = candidate.citizen_id, candidate.behavior
        self._found[key] = [each for each in self._found[key] if each.activity_id not in taken]


def _read_others(
    connection: Connection, spans: Mapping[tuple[str, str], tuple[float, float]]
) -> list[tuple[Any, ...]]:
    arrays = (
        array_of(citizen_id for citizen_id, _ in spans),
        array_of(behavior for _, behavior in spans),
        array_of(from_s for from_s, _ in spans.values()),
        array_of(to_s for _, to_s in spans.values()),
    )
    citizens = {citizen_id for citizen_id, _ in spans}
    if len(citizens) == 1:
        return connection.execute(READ_OTHERS_OF_ONE, (*arrays, *citizens)).fetchall()
    return connection.execute(READ_OTHERS, arrays).fetchall()


def _same_account(other: Reading, candidate: Candidate) -> bool:
    return other.account_digest == candidate.account_digest


def _end_s(candidate: Candidate) -> float:
    return max(candidate.end_s, candidate.start_s + SHORTEST_S)


def _spans(candidates: Iterator[Candidate]) -> dict[tuple[str, str], tuple[float, float]]:
    """Return for each citizen and behavior the stretch of time that her readings cover."""
    spans: dict[tuple[str, str], tuple[float, float]] = {}
    for candidate in candidates:
        key = candidate.citizen_id, candidate.behavior
        from_s, to_s = spans.get(key, (candidate.start_s, _end_s(candidate)))
        spans[key] = min(from_s, candidate.start_s), max(to_s, _end_s(candidate))
    return spans
