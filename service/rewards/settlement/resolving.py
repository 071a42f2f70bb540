"""Resolving an exception: one of the staff proposes how, a second one approves, and it is done."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from service import clock
from service.rewards.errors import same_person_approval
from service.rewards.settlement.codes import ALLOWED
from service.rewards.settlement.consequences import carry_out
from service.rewards.settlement.errors import (
    ExceptionUnknown,
    ResolutionNotAllowed,
    ResolutionOutdated,
)
from service.rewards.settlement.exceptions import NotedDifference, exception_by_id, write_step
from service.settings import Settings

READ_PROPOSAL: Final = """
SELECT no, actor_id, resolution, reason, evidence FROM exception_step
WHERE exception_id = %s AND kind = 'proposed' AND no = %s
"""

LAST_PROPOSAL: Final = """
SELECT max(no) FROM exception_step WHERE exception_id = %s AND kind = 'proposed'
"""


class Proposal(NamedTuple):
    """How an exception shall be resolved, and who said so."""

    no: int
    proposed_by: UUID
    resolution: str
    reason: str
    evidence: Mapping[str, Any] | None


def propose(
    connection: psycopg.Connection[Any],
    settings: Settings,
    exception_id: UUID,
    proposal: Proposal,
) -> tuple[NotedDifference, int]:
    """Say how an exception shall be resolved; it is done at once where one person may decide.

    Args:
        connection: inside the caller's transaction.
        settings: up to how much one person may decide.
        exception_id: which.
        proposal: its number is given here.

    Returns:
        The exception as it stands then, and the proposal's number.

    Raises:
        ExceptionUnknown, ExceptionResolved
        ResolutionNotAllowed: not for this kind of exception, or not as the redemption stands.
    """
    found = exception_by_id(connection, exception_id, locked=True)
    found.require_open()
    if proposal.resolution not in ALLOWED[found.code]:
        raise ResolutionNotAllowed(
            "This exception can be resolved in these ways: {allowed}.",
            allowed=", ".join(ALLOWED[found.code]),
        )
    after = found._replace(state="proposed", version=found.version + 1)
    proposal = proposal._replace(no=after.version)
    _write(connection, after, "proposed", proposal.proposed_by, proposal)
    if needs_two_people(settings, found):
        return after, proposal.no
    return _resolve(connection, after, proposal, proposal.proposed_by), proposal.no


def approve(
    connection: psycopg.Connection[Any], exception_id: UUID, no: int, by: UUID
) -> NotedDifference:
    """Let a proposal count, and do what it says.

    Raises:
        ExceptionUnknown: there is no such exception or proposal.
        ExceptionResolved: it is over.
        ResolutionOutdated: another was proposed since, or both sides say other things by now.
        SamePersonApproval: who proposed it cannot approve it.
        ResolutionNotAllowed: the redemption has moved on.
    """
    found = exception_by_id(connection, exception_id, locked=True)
    proposal = _proposal(connection, exception_id, no)
    found.require_open()
    last = connection.execute(LAST_PROPOSAL, [exception_id]).fetchone()
    if found.state != "proposed" or last != (no,):
        raise ResolutionOutdated("This proposal counts no more. Please look at the latest one.")
    if proposal.proposed_by == by:
        raise same_person_approval()
    return _resolve(connection, found, proposal, by)


def needs_two_people(settings: Settings, found: NotedDifference) -> bool:
    """Say whether more is at risk than one person may decide about; by default always."""
    limits = (settings.two_people_above_minor, settings.two_people_above_points)
    at_risk = (found.subsidy_minor, found.points)
    return any(
        limit is None or amount > limit for limit, amount in zip(limits, at_risk, strict=True)
    )


def _proposal(connection: psycopg.Connection[Any], exception_id: UUID, no: int) -> Proposal:
    row = connection.execute(READ_PROPOSAL, [exception_id, no]).fetchone()
    if row is None:
        raise ExceptionUnknown("There is no such proposal for this exception.")
    return Proposal._make(row)


def _resolve(
    connection: psycopg.Connection[Any], found: NotedDifference, proposal: Proposal, by: UUID
) -> NotedDifference:
    carry_out(connection, found, proposal.resolution, by)
    after = found._replace(state="resolved", version=found.version + 1, ended_at=clock.now())
    _write(connection, after, "resolved", by, proposal)
    return after


def _write(
    connection: psycopg.Connection[Any],
    after: NotedDifference,
    kind: str,
    by: UUID,
    proposal: Proposal,
) -> None:
    write_step(
        connection,
        after,
        kind,
        by,
        resolution=proposal.resolution,
        reason=proposal.reason,
        evidence=proposal.evidence,
    )
