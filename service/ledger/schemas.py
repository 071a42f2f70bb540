"""The ledger in JSON."""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from marshmallow import Schema, fields, validate

from service.ids import ACTIVITY, NOTICE, POSTING, RETIREMENT, TRANSFER, public_id
from service.ledger.notices import EXPIRING, Notice
from service.ledger.postings import AMOUNT_MOST
from service.ledger.retirements import Retired
from service.ledger.statement import TransferLine
from service.messages import Language, say
from service.web.pagination import PageQuery
from service.web.query_values import Moment

AS_OF_SAYS: Final = (
    "A moment that has passed: the state after everything recorded up to it. The answer never"
    " changes."
)
FIRST_MOMENT: Final = datetime(2000, 1, 1, tzinfo=UTC)
AMOUNT: Final = validate.Range(min=1, max=AMOUNT_MOST)
WORDS: Final = validate.Length(min=1, max=200)


class AsOfQuery(Schema):
    """As of which moment."""

    as_of = Moment(
        required=True,
        validate=validate.Range(min=FIRST_MOMENT),
        metadata={"description": AS_OF_SAYS},
    )


class StatementQuery(PageQuery):
    """Which page of the statement, and as of which moment."""

    as_of = Moment(
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


# --- retirements ------------------------------------------------------------------------------


class RetirementRequest(Schema):
    """What to retire: exactly one of `points` and `reduction_g`."""

    points = fields.Integer(
        strict=True,
        validate=AMOUNT,
        metadata={"description": "With the grams behind them, those that expire soonest first."},
    )
    reduction_g = fields.Integer(
        strict=True,
        validate=AMOUNT,
        metadata={"description": "At least so many grams, with the fewest points behind them."},
    )
    purpose = fields.String(validate=WORDS, metadata={"example": "我的2026年出行"})
    beneficiary = fields.String(validate=WORDS)


class RetirementLineView(Schema):
    """What was taken of one lot."""

    expires_on = fields.Date(required=True)
    points = fields.Integer(required=True)
    reduction_g = fields.Integer(required=True)


class RetirementView(Schema):
    """Grams that a citizen has used up for good."""

    id = fields.String(required=True, metadata={"example": "rtm_" + "0" * 32})
    posting_id = fields.String(
        required=True, metadata={"description": "As its lot lines name it in the statement."}
    )
    points = fields.Integer(required=True)
    reduction_g = fields.Integer(required=True)
    purpose = fields.String(required=True, allow_none=True)
    beneficiary = fields.String(required=True, allow_none=True)
    recorded_at = fields.AwareDateTime(required=True)
    lines = fields.List(fields.Nested(RetirementLineView), required=True)


def retirement_view(retired: Retired) -> dict[str, Any]:
    """Return a retirement as the contract names it."""
    return {
        "id": public_id(RETIREMENT, retired.id),
        "posting_id": public_id(POSTING, retired.id),
        "points": retired.points,
        "reduction_g": retired.reduction_g,
        "purpose": retired.purpose,
        "beneficiary": retired.beneficiary,
        "recorded_at": retired.recorded_at,
        "lines": [line._asdict() for line in retired.lines],
    }


# --- notices ----------------------------------------------------------------------------------


class NoticeView(Schema):
    """Something that a citizen should know in time."""

    id = fields.String(required=True, metadata={"example": "ntc_" + "0" * 32})
    kind = fields.String(required=True, metadata={"description": "`points-expire-soon`"})
    detail = fields.String(
        required=True, metadata={"description": "In the language of `Accept-Language`."}
    )
    points = fields.Integer(
        required=True, metadata={"description": "Available in the lot when it was told."}
    )
    expires_on = fields.Date(required=True, metadata={"description": "Their last day."})
    lead_days = fields.Integer(
        required=True, metadata={"description": "Told when no more days than these were left."}
    )
    recorded_at = fields.AwareDateTime(required=True)


SENTENCES: Final = {EXPIRING: "{points} points can be spent until the end of {expires_on}."}


def notice_view(notice: Notice, language: Language) -> dict[str, Any]:
    """Return a notice as the contract names it, with its sentence in a language."""
    told = {"points": notice.points, "expires_on": notice.expires_on}
    return {
        "id": public_id(NOTICE, notice.id),
        "kind": notice.kind,
        "detail": say(SENTENCES[notice.kind], language, **told),
        **told,
        "lead_days": notice.lead_days,
        "recorded_at": notice.recorded_at,
    }
