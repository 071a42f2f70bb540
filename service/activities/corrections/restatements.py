"""What a source says of a record it has sent: how it should have been, or that it never was."""

from typing import Annotated

import msgspec
from msgspec import Meta

from service.activities.intake.lines import AwareMoment, OwnLine, Unreadable, read_strictly

REASON_MAX = 500

Reason = Annotated[str, Meta(min_length=1, max_length=REASON_MAX)]


class Restatement(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """The whole record as it should have been."""

    reason: Reason
    started_at: AwareMoment
    ended_at: AwareMoment
    activity_data: msgspec.Raw
    behavior: str | None = None
    """Another behavior is another record, so it can only be said again."""
    withdrawn: bool = False

    def line(self, external_id: str, behavior: str) -> OwnLine:
        """Return the record as a feed would bring it."""
        return OwnLine(external_id, behavior, self.started_at, self.ended_at, self.activity_data)


class Withdrawal(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """There never was such an act."""

    reason: Reason
    withdrawn: bool


class _Kind(msgspec.Struct):
    withdrawn: bool = False


_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_restatement = msgspec.json.Decoder(Restatement).decode
_decode_withdrawal = msgspec.json.Decoder(Withdrawal).decode


def read_correction(raw: bytes) -> Restatement | Withdrawal | Unreadable:
    """Read the body of a correction, as strictly as a line of a feed."""
    kind = read_strictly(_decode_kind, raw)
    if isinstance(kind, Unreadable):
        return kind
    if kind.withdrawn:
        return read_strictly(_decode_withdrawal, raw)
    return read_strictly(_decode_restatement, raw)
