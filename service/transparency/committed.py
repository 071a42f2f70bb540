"""A transfer as the log commits to it, and as a proof file writes it down."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from service.ids import CITIZEN, PARTNER, POSTING, TRANSFER, public_id
from service.ledger.commitments import Placed, commitment
from service.ledger.schemas import OF_AN_ISSUE

SALT_BYTES = 32

_FIRST_DAY = date(2000, 1, 1)
_FIRST_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class CommittedTransfer:
    """Everything that an entry of the log commits to, but the salt."""

    citizen_id: UUID
    id: UUID
    kind: str
    expires_on: date
    points: int
    reduction_g: int
    recorded_at: datetime
    posting_id: UUID | None = None
    line: int = 0
    hold_id: UUID | None = None
    hold_line: int | None = None
    of_id: UUID | None = None
    party: UUID | None = None

    def entry(self, salt: bytes) -> bytes:
        """Return the log's entry: the commitment to these fields under a salt of 32 bytes."""
        return commitment(
            salt,
            self.citizen_id.bytes,
            self.id.bytes,
            self.kind,
            (self.expires_on - _FIRST_DAY).days.to_bytes(4, signed=True),
            self.points,
            self.reduction_g,
            ((self.recorded_at - _FIRST_MOMENT) // _MICROSECOND).to_bytes(8, signed=True),
            self._placed(),
        )

    def document(self) -> dict[str, Any]:
        """Return the fields as a proof file has them."""
        return {
            "citizen_id": public_id(CITIZEN, self.citizen_id),
            "id": public_id(TRANSFER, self.id),
            "kind": self.kind,
            "expires_on": self.expires_on.isoformat(),
            "points": self.points,
            "reduction_g": self.reduction_g,
            "recorded_at": _in_utc(self.recorded_at),
            "posting_id": _name(POSTING, self.posting_id),
            "line": self.line,
            "hold_id": _name(POSTING, self.hold_id),
            "hold_line": self.hold_line,
            "of_id": _name(prefix_of_undone(self.kind), self.of_id),
            "party": _name(PARTNER, self.party),
        }

    def _placed(self) -> Placed:
        return Placed(
            posting_id=_hex(self.posting_id),
            line=self.line,
            hold_id=_hex(self.hold_id),
            hold_line=-1 if self.hold_line is None else self.hold_line,
            of_id=_hex(self.of_id),
            party=_hex(self.party),
        )


def prefix_of_undone(kind: str) -> str:
    """Return what kind of id `of_id` is for a kind of transfer, as in the statement."""
    return TRANSFER if kind in OF_AN_ISSUE else POSTING


def _in_utc(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _name(prefix: str, uuid: UUID | None) -> str | None:
    return None if uuid is None else public_id(prefix, uuid)


def _hex(uuid: UUID | None) -> str:
    return "" if uuid is None else uuid.hex
