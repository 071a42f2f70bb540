"""What a citizen has, over HTTP: the read that every client makes most."""

from flask import Response
from marshmallow import Schema, fields

from service import clock
from service.activities.account import account_of
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import one_statement

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
    expiring = fields.List(
        fields.Nested(ExpiringView),
        required=True,
        metadata={"description": "The available points by their last day, the soonest first."},
    )


class AccountGramsView(Schema):
    """A citizen's grams of CO2e: `certified = available + held + expired + retired`."""

    certified = fields.Integer(required=True)
    pending = fields.Integer(required=True)
    available = fields.Integer(required=True)
    held = fields.Integer(required=True)
    expired = fields.Integer(required=True)
    retired = fields.Integer(required=True)


class AccountView(Schema):
    """A citizen's account."""

    points = fields.Nested(AccountPointsView, required=True)
    reduction_g = fields.Nested(AccountGramsView, required=True)


@blueprint.get("/me/account")
@requires("citizen")
@blueprint.response(200, AccountView)
def read_account() -> Response:
    """Return the caller's points and grams as they are today."""
    citizen_id = current_caller().id
    with one_statement() as reader:
        account = account_of(reader, citizen_id, clock.today())
    # Written out already: this answer is asked for thousands of times a second.
    return Response(account.as_json(), mimetype="application/json")
