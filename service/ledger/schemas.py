"""The ledger in JSON."""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from marshmallow import Schema, fields, validate

from service.ids import ACTIVITY, POSTING, TRANSFER, public_id
from service.ledger.statement import TransferLine
from service.web.pagination import PageQuery

AS_OF_SAYS: Final = (
    "A moment that has passed: the state after everything recorded up to it. The answer never"
    " changes."
)
FIRST_MOMENT: Final = datetime(2000, 1, 1, tzinfo=UTC)


class AsOfQuery(Schema):
    """As of which moment."""

    as_of = fields.AwareDateTime(
        required=True,
        validate=validate.Range(min=FIRST_MOMENT),
        metadata={"description": AS_OF_SAYS},
    )


class StatementQuery(PageQuery):
    """Which page of the statement, and as of which moment."""

    as_of = fields.AwareDateTime(
        load_default=None,
        validate=validate.Range(min=FIRST_MOMENT),
        metadata={"description": AS_OF_SAYS},
    )


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
        metadata={
            "description": "Of an `issue`: the activity whose certification it is; of `invalidate`"
            " and `recover`: the activity whose issue they take back, or are taken from."
        },
    )
    posting_id = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "What was asked for once; its lot lines have it in common."},
    )
    hold_id = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The posting that held the points in whose story this is."},
    )
    of_id = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "What it undoes or goes on with: of `restore` and `pool` a capture's"
            " posting, of `invalidate` and `recover` an issue's transfer."
        },
    )


OF_AN_ISSUE: Final = frozenset({"invalidate", "recover"})


def transfer_view(line: TransferLine) -> dict[str, Any]:
    """Return a transfer as the contract names it.

    An issue goes by the id of what it was issued for, so the ledger need not look that up.
    """
    is_of_issue = line.kind in OF_AN_ISSUE
    issue_id = line.id if line.kind == "issue" else line.of_id if is_of_issue else None
    return {
        "id": public_id(TRANSFER, line.id),
        "kind": line.kind,
        "points": line.points,
        "reduction_g": line.reduction_g,
        "expires_on": line.expires_on,
        "recorded_at": line.recorded_at,
        "activity_id": _public(ACTIVITY, issue_id),
        "posting_id": _public(POSTING, line.posting_id),
        "hold_id": _public(POSTING, line.hold_id),
        "of_id": _public(TRANSFER if is_of_issue else POSTING, line.of_id),
    }


def _public(prefix: str, uuid: UUID | None) -> str | None:
    return None if uuid is None else public_id(prefix, uuid)
