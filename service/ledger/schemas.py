"""The ledger in JSON."""

from typing import Any

from marshmallow import Schema, fields

from service.ids import ACTIVITY, TRANSFER, public_id
from service.ledger.statement import TransferLine


class TransferView(Schema):
    """Points, and the grams behind them, that moved once and for ever."""

    id = fields.String(required=True, metadata={"example": "trf_" + "0" * 32})
    kind = fields.String(required=True, metadata={"description": "`issue`, `expire`, …"})
    points = fields.Integer(required=True)
    reduction_g = fields.Integer(required=True, metadata={"description": "Grams of CO2e."})
    expires_on = fields.Date(
        required=True,
        metadata={"description": "The lot: the last day of these points, Asia/Shanghai."},
    )
    recorded_at = fields.AwareDateTime(required=True)
    activity_id = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Of an issue: the activity whose certification it is."},
    )


def transfer_view(line: TransferLine) -> dict[str, Any]:
    """Return a transfer as the contract names it.

    An issue goes by the id of what it was issued for, so the ledger need not look that up.
    """
    return {
        "id": public_id(TRANSFER, line.id),
        "kind": line.kind,
        "points": line.points,
        "reduction_g": line.reduction_g,
        "expires_on": line.expires_on,
        "recorded_at": line.recorded_at,
        "activity_id": public_id(ACTIVITY, line.id) if line.kind == "issue" else None,
    }
