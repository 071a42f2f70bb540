"""The same citizen's other acts: what overlaps, what is capped, what may count only once.

Read under the citizens' locks, after they are taken, so that what is decided here is true whatever
else is happening.
"""

from calendar import monthrange
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

from service.activities.intake.candidates import (
    DAY_S,
    EPOCH_DAY,
    SHANGHAI_OFFSET_S,
    TRIP_DURATION_MAX_S,
    Candidate,
)
from service.activities.intake.revisions import TAKEN_BACK
from service.activities.intake.standings import COUNTS, ask_latest_verdicts, ask_waiting
from service.bulk import array_of
from service.methodologies.methodology import Cap
from service.methodologies.reasons import Reason
from service.pipelining import Connection, Rows

_NEIGHBOURS = """
SELECT replace(d.citizen_id::text, '-', ''), replace(d.activity_id::text, '-', ''),
       extract(epoch FROM d.started_at)::float8, extract(epoch FROM d.ended_at)::float8,
       d.behavior, d.is_trip, d.counted
"""

READ_NEIGHBOURS = f"""{_NEIGHBOURS}
FROM unnest(%s::uuid[], %s::float8[], %s::float8[]) AS span (citizen_id, from_s, to_s)
JOIN activity_detail d ON d.citizen_id = span.citizen_id
    AND d.started_at >= to_timestamp(span.from_s) AND d.started_at < to_timestamp(span.to_s)
"""

# Of one citizen, named by value: then only her shard is asked.
READ_NEIGHBOURS_OF_ONE = f"""{_NEIGHBOURS}
FROM activity_detail d
WHERE d.citizen_id = %s
  AND d.started_at >= to_timestamp(%s) AND d.started_at < to_timestamp(%s)
"""

READ_BEHAVIORS = """
SELECT replace(d.citizen_id::text, '-', ''), array_agg(DISTINCT d.behavior)
FROM activity_detail d
LEFT JOIN verdict v ON v.citizen_id = d.citizen_id AND v.activity_id = d.activity_id
    AND v.code = ANY(%s)
WHERE d.citizen_id = ANY(%s::uuid[]) AND d.behavior = ANY(%s) AND v.activity_id IS NULL
GROUP BY d.citizen_id
"""


@dataclass(slots=True)
class Neighbour:
    """Another act of the same citizen."""

    activity_id: str
    start_s: float
    end_s: float
    behavior: str
    is_trip: bool
    counts: bool
    """By its first verdict, until `settle_standings` has looked for later ones."""
    is_pending: bool = False
    is_self_recorded: bool = False


@dataclass(slots=True)
class Neighbourhood:
    """A citizen's acts around those of the feed, and what the feed adds to them."""

    acts: list[Neighbour] = field(default_factory=list)

    def add(self, candidate: Candidate, *, is_pending: bool, is_self_recorded: bool) -> None:
        """Let later acts of the feed see this one."""
        self.acts.append(
            Neighbour(
                candidate.activity_id,
                candidate.start_s,
                candidate.end_s,
                candidate.behavior,
                candidate.is_trip,
                counts=True,
                is_pending=is_pending,
                is_self_recorded=is_self_recorded,
            )
        )

    def remove(self, activity_id: str) -> None:
        """Forget an act that no longer counts."""
        self.acts = [act for act in self.acts if act.activity_id != activity_id]

    def overlapping(self, candidate: Candidate) -> list[Neighbour]:
        """Return the trips that take place at the same time, the touching of ends not counted."""
        if not self.acts or not candidate.is_trip:
            return []
        start_s = candidate.start_s
        end_s = max(candidate.end_s, start_s + 1)
        return [
            act
            for act in self.acts
            if act.is_trip
            and act.start_s < end_s
            and (start_s < act.end_s or start_s < act.start_s + 1)
            and act.counts
        ]

    def cap_reached(self, candidate: Candidate) -> Reason | None:
        """Return the cap that leaves no room for one more act of the behavior, or None."""
        binding = candidate.binding
        for cap in binding.methodology.caps if binding else ():
            if len(self.acts) >= cap.limit <= self._count(candidate, cap):
                code = "daily-cap-reached" if cap.period == "day" else "monthly-cap-reached"
                return Reason(code, {"limit": str(cap.limit), "behavior": candidate.behavior})
        return None

    def _count(self, candidate: Candidate, cap: Cap) -> int:
        from_s, to_s = period_of(candidate.day, cap.period)
        return sum(
            1
            for act in self.acts
            if act.behavior == candidate.behavior and from_s <= act.start_s < to_s and act.counts
        )


@lru_cache(maxsize=4096)
def period_of(day: date, period: str) -> tuple[float, float]:
    """Return the beginning and end of the day or month around a day, in seconds since 1970."""
    first, days = day, 1
    if period == "month":
        first, days = day.replace(day=1), monthrange(day.year, day.month)[1]
    begin_s = (first.toordinal() - EPOCH_DAY) * DAY_S - SHANGHAI_OFFSET_S
    return float(begin_s), float(begin_s + days * DAY_S)


def ask_neighbours(connection: Connection, candidates: Iterable[Candidate]) -> Rows | None:
    """Ask for the acts around those of the candidates that need it, with one statement."""
    spans = _spans(candidates)
    if not spans:
        return None
    if len(spans) == 1:
        ((citizen_id, span),) = spans.items()
        return connection.execute(READ_NEIGHBOURS_OF_ONE, (citizen_id, *span))
    return connection.execute(
        READ_NEIGHBOURS,
        (
            array_of(spans),
            array_of([from_s for from_s, _ in spans.values()]),
            array_of([to_s for _, to_s in spans.values()]),
        ),
    )


def neighbourhoods(answer: Rows | None) -> defaultdict[str, Neighbourhood]:
    """Return the neighbourhood of every citizen from what `ask_neighbours` was answered."""
    hoods: defaultdict[str, Neighbourhood] = defaultdict(Neighbourhood)
    for citizen_id, *act in answer or ():
        hoods[citizen_id].acts.append(Neighbour(*act))
    return hoods


def settle_standings(
    connection: Connection,
    candidates: Iterable[Candidate],
    hoods: Mapping[str, Neighbourhood],
) -> None:
    """Look for later verdicts on acts that stand in the way of one of the candidates.

    Few acts do, so only these are asked about. An act whose first verdict was a refusal may have
    been certified on appeal; one that counted may have been withdrawn, rejected or superseded.
    """
    if not hoods:
        return
    candidates = list(candidates)
    coming = Counter([candidate.citizen_id for candidate in candidates])
    doubtful = {
        act.activity_id: (candidate.citizen_id, act)
        for candidate in candidates
        if (hood := hoods.get(candidate.citizen_id)) is not None and hood.acts
        for act in _in_the_way(hood, candidate, coming[candidate.citizen_id])
    }
    if not doubtful:
        return
    acts = {activity_id: citizen_id for activity_id, (citizen_id, _) in doubtful.items()}
    latest, waiting = ask_latest_verdicts(connection, acts), ask_waiting(connection, acts)
    for activity_id, verdict in latest:
        doubtful[activity_id][1].counts = verdict in COUNTS
    for activity_id, is_self_recorded in waiting:
        act = doubtful[activity_id][1]
        act.is_pending, act.is_self_recorded = True, is_self_recorded


def _in_the_way(hood: Neighbourhood, candidate: Candidate, coming: int) -> list[Neighbour]:
    """Return the acts on whose standing the verdict on the candidate may depend.

    Args:
        hood: the citizen's.
        candidate: one of hers.
        coming: how many of hers the feed adds at most.
    """
    methodology = candidate.binding.methodology if candidate.binding else None
    if methodology is None or candidate.reason is not None:
        return []
    acts = len(hood.acts) + coming
    if any(acts > cap.limit for cap in methodology.caps):
        return [act for act in hood.acts if act.behavior == candidate.behavior or act.is_trip]
    if not methodology.is_trip:
        return []
    return [
        act
        for act in hood.acts
        if act.is_trip
        and act.start_s < candidate.end_s + 1
        and candidate.start_s < max(act.end_s, act.start_s + 1)
    ]


def _spans(candidates: Iterable[Candidate]) -> dict[str, tuple[float, float]]:
    """Return for each citizen the stretch of time within which other acts matter."""
    spans: dict[str, tuple[float, float]] = {}
    for candidate in candidates:
        if candidate.reason is not None or candidate.binding is None:
            continue
        span = _span(candidate)
        if span is None:
            continue
        known = spans.get(candidate.citizen_id)
        if known is not None:
            span = min(known[0], span[0]), max(known[1], span[1])
        spans[candidate.citizen_id] = span
    return spans


def _span(candidate: Candidate) -> tuple[float, float] | None:
    assert candidate.binding is not None  # noqa: S101  the caller has looked
    methodology = candidate.binding.methodology
    from_s, to_s = candidate.start_s, candidate.start_s
    if methodology.is_trip:
        from_s, to_s = candidate.start_s - TRIP_DURATION_MAX_S, candidate.end_s + 1
    for cap in methodology.caps:
        begin_s, end_s = period_of(candidate.day, cap.period)
        from_s, to_s = min(from_s, begin_s), max(to_s, end_s)
    return (from_s, to_s) if from_s < to_s else None


def read_excluding_behaviors(
    connection: Connection, candidates: Sequence[Candidate]
) -> dict[str, frozenset[str]]:
    """Return what else the citizens do that may put them outside a methodology.

    What was only refused shows that they do it; what was taken back shows nothing.
    """
    asking = [
        candidate
        for candidate in candidates
        if candidate.binding is not None and candidate.binding.methodology.excluded_by
    ]
    if not asking:
        return {}
    behaviors = {
        behavior
        for candidate in asking
        if candidate.binding is not None
        for behavior in candidate.binding.methodology.excluded_by
    }
    rows = connection.execute(
        READ_BEHAVIORS,
        (
            list(TAKEN_BACK),
            sorted({candidate.citizen_id for candidate in asking}),
            sorted(behaviors),
        ),
    )
    return {citizen_id: frozenset(found) for citizen_id, found in rows}
