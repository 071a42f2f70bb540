"""The statement, over HTTP."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service.ledger.schemas import StatementQuery, TransferView, transfer_view
from service.ledger.statement import Seen, TransferLine, named_transfer, statement_of
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import raw_transaction
from service.web.pagination import Page, Position, list_view

blueprint = Blueprint("ledger", __name__, url_prefix="/v1", description="Where points went")


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
            after=_after(page),
            as_of=query["as_of"],
        )
    body, status, headers = page.answer(lines, _position)
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


def _position(line: TransferLine) -> Position:
    return [line.recorded_at.isoformat(), line.line, line.id.hex]


def _after(page: Page) -> Seen | None:
    if page.after is None:
        return None
    recorded_at, line, transfer_id = page.after
    return Seen(datetime.fromisoformat(str(recorded_at)), int(line), UUID(hex=str(transfer_id)))
