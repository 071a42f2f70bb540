"""What a citizen has, over HTTP: the read that every client makes most."""

from flask import Response, request
from marshmallow import Schema, fields

from service import clock
from service.activities.account import account_as_of, account_of
from service.ledger.schemas import AS_OF_SAYS, AsOfQuery
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import one_statement, raw_transaction

AS_OF = {
    "in": "query",
    "name": "as_of",
    "required": False,
    "schema": {"type": "string", "format": "date-time"},
    "description": AS_OF_SAYS,
}

blueprint = Blueprint("account", __name__, url_prefix="/v1", description="Points and grams")


class ExpiringView(Schema):
    """Points and the last day on which they can be spent."""

    date = fields.Date(required=True, metadata={"description": "Asia/Shanghai."})
    points = fields.Integer(required=True)


class AccountPointsView(Schema):
    """A citizen's points."""

    available = fields.Integer(required=True)
    held = fields.Integer(required=True, metadata={"description": "Reserved for redemptions."})
    pending = fields.Integer(
        required=True,
        metadata={"description": "What activities not yet certified would give; a preview."},
    )
    owed = fields.Integer(
        required=True,
        metadata={"description": "Of issues that proved false and were spent; the next pay it."},
    )
    expiring = fields.List(
        fields.Nested(ExpiringView),
        required=True,
        metadata={"description": "The available points by their last day, the soonest first."},
    )


class AccountGramsView(Schema):
    """A citizen's grams of CO2e, each with one fate.

    `certified = available + held + redeemed + pooled + expired + invalidated + retired`
    """

    certified = fields.Integer(required=True)
    pending = fields.Integer(required=True)
    available = fields.Integer(required=True)
    held = fields.Integer(required=True)
    redeemed = fields.Integer(
        required=True, metadata={"description": "Went to partners with the points."}
    )
    pooled = fields.Integer(
        required=True, metadata={"description": "Given, or gone on, to a pool of units."}
    )
    expired = fields.Integer(required=True)
    invalidated = fields.Integer(
        required=True, metadata={"description": "Taken back, because an issue proved false."}
    )
    retired = fields.Integer(required=True, metadata={"description": "Used up by herself."})
    owed = fields.Integer(required=True, metadata={"description": "Still to be taken back."})


class AccountView(Schema):
    """A citizen's account."""

    points = fields.Nested(AccountPointsView, required=True)
    reduction_g = fields.Nested(AccountGramsView, required=True)


@blueprint.get("/me/account")
@requires("citizen")
@blueprint.doc(parameters=[AS_OF])
@blueprint.response(200, AccountView)
@blueprint.refusals(422, "as-of-in-future")
def read_account() -> Response:
    """Return the caller's points and grams, as they are or as they were at a moment."""
    citizen_id = current_caller().id
    # A query is read only where there is one, and the answer is written out already: it is asked
    # for thousands of times a second.
    if request.query_string:
        query = blueprint.ARGUMENTS_PARSER.parse(AsOfQuery, request, location="query")
        with raw_transaction() as connection:
            account = account_as_of(connection, citizen_id, query["as_of"])
    else:
        with one_statement() as reader:
            account = account_of(reader, citizen_id, clock.today())
    return Response(account.as_json(), mimetype="application/json")
