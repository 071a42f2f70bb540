"""The statement, a citizen's own retirements and her notices, over HTTP."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import psycopg
from flask import current_app, request

from service.errors import Forbidden
from service.ids import RETIREMENT, uuid_of
from service.ledger import notices
from service.ledger.errors import PostingConflict
from service.ledger.notices import Notice, notices_of
from service.ledger.postings import Outcome, was_asked
from service.ledger.retirements import (
    Retired,
    Wish,
    carry_out,
    posting_id_for,
    retired,
    retirements_of,
)
from service.ledger.schemas import (
    NoticeView,
    RetirementRequest,
    RetirementView,
    StatementQuery,
    TransferView,
    notice_view,
    retirement_view,
    transfer_view,
)
from service.ledger.statement import Seen, TransferLine, named_transfer, statement_of
from service.messages import TAG_OF, language_of
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import raw_transaction
from service.web.idempotency import requested_key
from service.web.pagination import Page, PageQuery, Position, list_view
from service.web.refusals import FieldFault, IdempotencyKeyReused

blueprint = Blueprint("ledger", __name__, url_prefix="/v1", description="Where points went")

SPENDING_CHECK: Final = "carbon.spending_check"
"""Key in `app.extensions` of what the composer lets say whether a citizen may spend now.

Called in the transaction that spends; it raises what forbids it.
"""
CREATED_AT: Final = {
    "Location": {"description": "Of the retirement.", "schema": {"type": "string"}}
}
SpendingCheck = Callable[[psycopg.Connection[Any], UUID], None]


@blueprint.get("/me/transfers")
@requires("citizen")
@blueprint.arguments(StatementQuery, location="query")
@blueprint.response(200, list_view(TransferView))
@blueprint.refusals(400, "cursor-invalid")
@blueprint.refusals(422, "as-of-in-future")
def list_transfers(query: dict[str, Any]) -> Any:
    """Return the caller's statement, the newest transfer first."""
    page = Page.asked(query)
    with raw_transaction() as connection:
        lines = statement_of(
            connection,
            current_caller().id,
            rows=page.rows_needed,
            after=_after_transfer(page),
            as_of=query["as_of"],
        )
    body, status, headers = page.answer(lines, _position_of_transfer)
    return {**body, "items": [transfer_view(line) for line in body["items"]]}, status, headers


@blueprint.get("/transfers/<transfer_id>")
@requires("citizen")
@blueprint.response(200, TransferView)
@blueprint.refusals(404, "id-unknown")
def read_transfer(transfer_id: str) -> dict[str, Any]:
    """Return one transfer of the caller's."""
    with raw_transaction() as connection:
        line = named_transfer(connection, current_caller().id, transfer_id)
    return transfer_view(line)


@blueprint.post("/me/retirements")
@requires("citizen")
@blueprint.arguments(RetirementRequest)
@blueprint.repeatable(answer_is_kept=False)
@blueprint.response(201, RetirementView, headers=CREATED_AT)
@blueprint.refusals(403, "account-frozen", "spending-held")
@blueprint.refusals(409, "insufficient-points", "insufficient-grams")
@blueprint.refusals(422, "amount-invalid", "idempotency-key-reused")
def create_retirement(body: dict[str, Any]) -> Any:
    """Use up grams of one's own for good, so that nobody counts them again.

    With an `Idempotency-Key` it happens once, for ever; a refusal stays a refusal under its key.
    Sent again it gets its first answer, also while the account is frozen or spending is held.
    """
    citizen_id = current_caller().id
    posting_id = posting_id_for(citizen_id, requested_key())
    with raw_transaction() as connection:
        _require_may_spend(connection, citizen_id, posting_id)
        outcome = _retire_once(connection, citizen_id, posting_id, Wish(**body))
    outcome.raise_refusal()
    with raw_transaction() as connection:
        kept = retired(connection, citizen_id, posting_id)
    told = retirement_view(kept)
    headers = {"Location": f"/v1/me/retirements/{told['id']}"}
    if outcome.is_repeat:
        headers["Idempotent-Replayed"] = "true"
    return told, 201, headers


def _require_may_spend(
    connection: psycopg.Connection[Any], citizen_id: UUID, posting_id: UUID
) -> None:
    """Refuse whoever cannot spend now; a repeat spends nothing and gets its first answer."""
    may_spend: SpendingCheck = current_app.extensions[SPENDING_CHECK]
    try:
        may_spend(connection, citizen_id)
    except Forbidden:
        if not was_asked(connection, citizen_id, posting_id):
            raise


def _retire_once(
    connection: psycopg.Connection[Any], citizen_id: UUID, posting_id: UUID, wish: Wish
) -> Outcome:
    try:
        return carry_out(connection, citizen_id, posting_id, wish)
    except PostingConflict as conflict:
        raise IdempotencyKeyReused(
            "This Idempotency-Key belongs to another request. Please choose a new key.",
            errors=[_differing(conflict.members["field"])],
        ) from conflict


def _differing(field: str) -> FieldFault:
    """Return the fault of a member that is not as it was under the same key."""
    return FieldFault(
        f"/{field}", "value-not-allowed", "It was another one under this key the first time."
    )


@blueprint.get("/me/retirements")
@requires("citizen")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, list_view(RetirementView))
@blueprint.refusals(400, "cursor-invalid")
def list_retirements(query: dict[str, Any]) -> Any:
    """Return what the caller has retired, the newest first."""
    page = Page.asked(query)
    with raw_transaction() as connection:
        found = retirements_of(
            connection, current_caller().id, rows=page.rows_needed, after=_after_retirement(page)
        )
    body, status, headers = page.answer(found, _position_of_retirement)
    return {**body, "items": [retirement_view(each) for each in body["items"]]}, status, headers


@blueprint.get("/me/retirements/<retirement_id>")
@requires("citizen")
@blueprint.response(200, RetirementView)
@blueprint.refusals(404, "id-unknown")
def read_retirement(retirement_id: str) -> dict[str, Any]:
    """Return one retirement of the caller's."""
    wanted = uuid_of(RETIREMENT, retirement_id)
    with raw_transaction() as connection:
        return retirement_view(retired(connection, current_caller().id, wanted))


@blueprint.get("/me/notices")
@requires("citizen")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, list_view(NoticeView))
@blueprint.refusals(400, "cursor-invalid")
def list_notices(query: dict[str, Any]) -> Any:
    """Return what the caller was told, the newest first, in the language she asks for."""
    page = Page.asked(query)
    language = language_of(request.headers.get("Accept-Language"))
    with raw_transaction() as connection:
        found = notices_of(
            connection, current_caller().id, rows=page.rows_needed, after=_after_notice(page)
        )
    body, status, headers = page.answer(found, _position_of_notice)
    items = [notice_view(notice, language) for notice in body["items"]]
    said = {"Content-Language": TAG_OF[language], "Vary": "Accept-Language"}
    return {**body, "items": items}, status, headers | said


# --- where a page ended -----------------------------------------------------------------------


def _position_of_transfer(line: TransferLine) -> Position:
    return [line.recorded_at.isoformat(), line.line, line.id.hex]


def _after_transfer(page: Page) -> Seen | None:
    if page.after is None:
        return None
    recorded_at, line, transfer_id = page.after
    return Seen(datetime.fromisoformat(str(recorded_at)), int(line), UUID(hex=str(transfer_id)))


def _position_of_retirement(each: Retired) -> Position:
    return [each.recorded_at.isoformat(), each.id.hex]


def _after_retirement(page: Page) -> tuple[datetime, UUID] | None:
    if page.after is None:
        return None
    recorded_at, posting_id = page.after
    return datetime.fromisoformat(str(recorded_at)), UUID(hex=str(posting_id))


def _position_of_notice(notice: Notice) -> Position:
    return [notice.recorded_at.isoformat(), notice.expires_on.isoformat(), notice.lead_days]


def _after_notice(page: Page) -> notices.Seen:
    if page.after is None:
        return notices.NEWEST
    recorded_at, expires_on, lead_days = page.after
    day = date.fromisoformat(str(expires_on))
    return notices.Seen(datetime.fromisoformat(str(recorded_at)), day, int(lead_days))
