"""Deciding under the citizens' locks: what is new, what stands in the way, what is certified."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.activities.intake.candidates import SELF_RECORDED, Candidate, Source
from service.activities.intake.claims import Claims
from service.activities.intake.neighbours import (
    Neighbour,
    Neighbourhood,
    read_excluding_behaviors,
    settle_standings,
)
from service.activities.intake.outcomes import Known, Outcome, outcome_of, repeated, repeated_here
from service.activities.intake.readings import READING_OVERLAP, Reading, Readings
from service.activities.intake.recording import Decided
from service.activities.intake.revisions import revisions_of
from service.bulk import array_of
from service.keys import KeyRing
from service.methodologies import exclusion_for
from service.methodologies.reasons import Reason
from service.methodologies.registry import METHODOLOGIES
from service.pipelining import Connection, Rows

EXCLUDING = frozenset().union(*(methodology.excluded_by for methodology in METHODOLOGIES))
"""Behaviors that put a citizen outside a methodology, whether or not they count themselves."""

FROZEN = Reason("account-frozen", {})
OVERLAP = Reason("overlap", {})

_KNOWN = """
SELECT replace(a.id::text, '-', ''), replace(a.citizen_id::text, '-', ''),
       encode(a.evidence_digest, 'hex'), a.verdict, a.code, a.params, a.reduction_g, a.points
"""

READ_KNOWN = f"""{_KNOWN}
FROM unnest(%s::uuid[], %s::uuid[]) AS asked (citizen_id, id)
JOIN activity a ON a.citizen_id = asked.citizen_id AND a.id = asked.id
"""

# Of one citizen, named by value: then only her shard is asked.
READ_KNOWN_OF_ONE = f"""{_KNOWN}
FROM activity a WHERE a.citizen_id = %s AND a.id = ANY(%s::uuid[])
"""


@dataclass(slots=True)
class Sorted:
    """Candidates, sorted by whether their key has been seen."""

    fresh: dict[str, Candidate] = field(default_factory=dict)
    again: list[Candidate] = field(default_factory=list)
    """Whose key stands in `fresh` already."""
    known: list[Outcome] = field(default_factory=list)
    """The answers to those that were recorded before."""


def ask_known(connection: Connection, candidates: Sequence[Candidate]) -> Rows:
    """Ask what is recorded under the candidates' keys."""
    citizens = [candidate.citizen_id for candidate in candidates]
    activities = array_of([candidate.activity_id for candidate in candidates])
    if len(set(citizens)) == 1:
        return connection.execute(READ_KNOWN_OF_ONE, (citizens[0], activities))
    return connection.execute(READ_KNOWN, (array_of(citizens), activities))


def sort_out(
    connection: Connection,
    rows: Iterable[tuple[Any, ...]],
    candidates: Sequence[Candidate],
) -> Sorted:
    """Tell what is new from repeats and contradictions of what is recorded."""
    known = revisions_of(connection, {row[0]: Known(*row) for row in rows})
    found = Sorted()
    for candidate in candidates:
        before = known.get(candidate.activity_id)
        if before is not None:
            found.known.append(repeated(candidate, before))
        elif candidate.activity_id in found.fresh:
            found.again.append(candidate)
        else:
            found.fresh[candidate.activity_id] = candidate
    return found


def decide(
    connection: Connection,
    keys: KeyRing,
    source: Source,
    fresh: Sequence[Candidate],
    hoods: defaultdict[str, Neighbourhood],
) -> Decided:
    """Give each new act its verdict, in line order.

    The reasons against an act come in this order: its own, an exclusion, a thing that counted
    before, a cap, another trip at the same time, another reading of the same time.
    """
    settle_standings(connection, fresh, hoods)
    others = read_excluding_behaviors(connection, fresh)
    asking = [each for each in fresh if each.reason is None]
    claims = Claims.taken(connection, keys, source.id, asking)
    readings = Readings.around(connection, fresh)
    desk = _Desk(source, hoods, others, claims, readings, Decided())
    for candidate in fresh:
        desk.decide(candidate)
    claims.settle(connection)
    return desk.decided


@dataclass(slots=True)
class _Desk:
    source: Source
    hoods: defaultdict[str, Neighbourhood]
    others: dict[str, frozenset[str]]
    claims: Claims
    readings: Readings
    decided: Decided

    def decide(self, candidate: Candidate) -> None:
        hood = self.hoods[candidate.citizen_id]
        reason = self._reason(candidate, hood)
        if candidate.behavior in EXCLUDING:
            self._note_exclusion(candidate)
        if reason is not None:
            self.claims.let_go(candidate)
            self.decided.refused.append((candidate, reason))
            return
        is_pending = candidate.is_frozen or self.source.delay_days != 0
        is_self_recorded = self.source.tier == SELF_RECORDED
        hood.add(candidate, is_pending=is_pending, is_self_recorded=is_self_recorded)
        if candidate.is_reading:
            self.readings.add(candidate, is_pending=is_pending, is_self_recorded=is_self_recorded)
        if is_pending:
            why = FROZEN if candidate.is_frozen else None
            self.decided.pending.append((candidate, why))
        else:
            self.decided.certified.append(candidate)

    def _reason(self, candidate: Candidate, hood: Neighbourhood) -> Reason | None:
        return (
            candidate.reason
            or exclusion(candidate, self.others)
            or self.claims.refusal(candidate)
            or hood.cap_reached(candidate)
            or self._overlap(candidate, hood)
            or self._read_twice(candidate)
        )

    def _note_exclusion(self, candidate: Candidate) -> None:
        """Let later acts of the feed know what she does."""
        known = self.others.get(candidate.citizen_id, frozenset())
        self.others[candidate.citizen_id] = known | {candidate.behavior}

    def _overlap(self, candidate: Candidate, hood: Neighbourhood) -> Reason | None:
        """Refuse a trip beside another one, unless it is better vouched for and theirs waits."""
        others = hood.overlapping(candidate)
        if not others:
            return None
        if not self._prevails(others):
            return OVERLAP
        for other in others:
            self.decided.superseded.append((candidate, other.activity_id))
            hood.remove(other.activity_id)
        return None

    def _read_twice(self, candidate: Candidate) -> Reason | None:
        """Refuse a second reading of the same time, unless it is better vouched for."""
        if not candidate.is_reading:
            return None
        is_self_recorded = self.source.tier == SELF_RECORDED
        others = self.readings.beside(candidate, is_self_recorded=is_self_recorded)
        if others and not self._prevails(others):
            return READING_OVERLAP
        self.decided.superseded += [(candidate, other.activity_id) for other in others]
        self.readings.remove(candidate, others)
        return None

    def _prevails(self, others: Sequence[Neighbour | Reading]) -> bool:
        """Say whether the source's word takes the place of what waits on a citizen's own."""
        return self.source.tier != SELF_RECORDED and all(
            other.is_pending and other.is_self_recorded for other in others
        )


def exclusion(candidate: Candidate, others: Mapping[str, frozenset[str]]) -> Reason | None:
    """Return why another behavior of the citizen puts her outside the methodology, or None."""
    behaviors = others.get(candidate.citizen_id)
    if not behaviors or candidate.binding is None:
        return None
    return exclusion_for(candidate.binding.methodology, behaviors)


def answers_to(decided: Decided, again: Sequence[Candidate]) -> list[Outcome]:
    """Return the outcome of every act that was new, and of its repeats beside it."""
    outcomes = [outcome_of(candidate, "certified", None) for candidate in decided.certified]
    outcomes += [outcome_of(each, "pending", reason) for each, reason in decided.pending]
    outcomes += [outcome_of(each, "refused", reason) for each, reason in decided.refused]
    if not again:
        return outcomes
    first = {outcome.activity_id: outcome for outcome in outcomes}
    acts = {candidate.activity_id: candidate for candidate in _all(decided)}
    return outcomes + [
        repeated_here(each, acts[each.activity_id], first[each.activity_id]) for each in again
    ]


def _all(decided: Decided) -> list[Candidate]:
    return [
        *decided.certified,
        *(candidate for candidate, _ in decided.pending),
        *(candidate for candidate, _ in decided.refused),
    ]
