"""What nobody knows for too long is decided by two of the staff, on evidence from outside."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID, uuid4

import msgspec

from service import clock
from service.errors import NotFound
from service.ids import FORCED_RESOLUTION, REDEMPTION, STAFF, public_id
from service.pipelining import Connection
from service.rewards.errors import same_person_approval
from service.rewards.offers.catalogue import terms_of
from service.rewards.redemptions.capturing import (
    CaptureWish,
    capture_redemption,
    require_as_quoted,
)
from service.rewards.redemptions.ending import decline, void
from service.rewards.redemptions.steps import (
    Actor,
    Redemption,
    Written,
    ask_locked,
    redemption_from,
)

Outcome = Literal["captured", "declined", "voided"]

WRITE: Final = """
INSERT INTO forced_resolution (id, redemption_id, outcome, body, proposed_by, recorded_at)
VALUES (%s, %s, %s, %s, %s, %s)
"""

WRITE_APPROVAL: Final = """
INSERT INTO forced_resolution_approval (forced_resolution_id, proposed_by, approved_by, recorded_at)
VALUES (%s, %s, %s, %s)
"""

_READ: Final = """
SELECT id, redemption_id, outcome, body, forced_resolution.proposed_by,
       forced_resolution.recorded_at, approved_by
FROM forced_resolution
LEFT JOIN forced_resolution_approval ON forced_resolution_id = id
"""
READ: Final = f"{_READ} WHERE id = %s"
READ_ALL: Final = f"{_READ} WHERE redemption_id = %s ORDER BY forced_resolution.recorded_at, id"


class ForcedResolutionUnknown(NotFound):
    """There is no such forced resolution."""

    code = "forced-resolution-unknown"


class ForcedResolution(NamedTuple):
    """What one of the staff wants to become of an unknown redemption."""

    id: UUID
    redemption_id: UUID
    outcome: Outcome
    body: Mapping[str, Any]
    """`evidence`: where it is to be found; `capture`: what is captured, as the partner said it."""
    proposed_by: UUID
    recorded_at: datetime
    approved_by: UUID | None = None

    def view(self) -> dict[str, Any]:
        """Return it as JSON members."""
        approved_by = self.approved_by
        return {
            "id": public_id(FORCED_RESOLUTION, self.id),
            "redemption_id": public_id(REDEMPTION, self.redemption_id),
            "outcome": self.outcome,
            "evidence": self.body["evidence"],
            "capture": self.body.get("capture"),
            "proposed_by": public_id(STAFF, self.proposed_by),
            "approved_by": None if approved_by is None else public_id(STAFF, approved_by),
            "recorded_at": self.recorded_at.isoformat(),
        }


def propose(
    connection: Connection,
    redemption: Redemption,
    staff_id: UUID,
    outcome: Outcome,
    body: Mapping[str, Any],
) -> ForcedResolution:
    """Write down what one of the staff wants; nothing happens yet.

    Raises:
        StateConflict: the redemption is not unknown.
        TermsMismatch, BenefitDiffers: the capture is not of what was quoted.
    """
    _require_unknown(redemption)
    if outcome == "captured":
        terms = terms_of(connection, redemption.offer_id, redemption.offer_version)
        require_as_quoted(terms, _wish(body))
    proposed = ForcedResolution(uuid4(), redemption.id, outcome, body, staff_id, clock.now())
    text = msgspec.json.encode(body).decode()
    connection.execute(
        WRITE, (proposed.id, redemption.id, outcome, text, staff_id, proposed.recorded_at)
    )
    return proposed


def approve(connection: Connection, proposal_id: UUID, actor: Actor) -> Written:
    """Do what another member of the staff has proposed.

    Args:
        connection: inside the caller's transaction.
        proposal_id: of the proposal.
        actor: who approves it.

    Raises:
        ForcedResolutionUnknown
        SamePersonApproval: who proposed it cannot approve it.
        StateConflict: the redemption is not unknown any more.
        CaptureExceedsHold, PartnerReferenceReused: what is proposed cannot be.
    """
    proposal = _proposal(connection, proposal_id)
    if proposal.proposed_by == actor.id:
        raise same_person_approval()
    redemption = redemption_from(ask_locked(connection, proposal.redemption_id))
    _require_unknown(redemption)
    written = _carry_out(connection, redemption, proposal, actor)
    approved = (proposal.id, proposal.proposed_by, actor.id, clock.now())
    connection.execute(WRITE_APPROVAL, approved)
    return written


def proposals_of(connection: Connection, redemption_id: UUID) -> list[ForcedResolution]:
    """Return what was proposed for a redemption, in order."""
    rows = connection.execute(READ_ALL, (redemption_id,))
    return [ForcedResolution._make(row) for row in rows]


def _proposal(connection: Connection, proposal_id: UUID) -> ForcedResolution:
    row = connection.execute(READ, (proposal_id,)).fetchone()
    if row is None:
        raise ForcedResolutionUnknown("There is no such forced resolution.")
    return ForcedResolution._make(row)


def _require_unknown(redemption: Redemption) -> None:
    if redemption.state != "unknown":
        raise redemption.state_conflict()


def _carry_out(
    connection: Connection, redemption: Redemption, proposal: ForcedResolution, actor: Actor
) -> Written:
    evidence = {
        "forced_resolution_id": public_id(FORCED_RESOLUTION, proposal.id),
        **proposal.body["evidence"],
    }
    if proposal.outcome == "captured":
        return capture_redemption(connection, redemption, _wish(proposal.body), actor, evidence)
    end = decline if proposal.outcome == "declined" else void
    return end(connection, redemption, actor, {"reason": "other", "evidence": evidence})


def _wish(body: Mapping[str, Any]) -> CaptureWish:
    said = dict(body["capture"])
    for name in ("effective_from", "effective_to"):
        said[name] = said.get(name) and datetime.fromisoformat(said[name])
    return CaptureWish(**said)
