"""How an issue was computed, over HTTP: for its owner, and for auditors."""

from typing import Any
from uuid import UUID

import structlog
from flask import request
from marshmallow import Schema, fields

from service.activities.intake.api import intake
from service.activities.provenance.origins import origin_of, provenance, recomputed
from service.activities.reasons import sentence
from service.ids import ACTIVITY, CITIZEN, TRANSFER, IdUnknown, public_id, uuid_of
from service.ledger.schemas import TransferView, transfer_view
from service.ledger.statement import named_transfer
from service.messages import language_of
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import raw_transaction
from service.web.refusals import ParameterFault, ValidationFailed

log = structlog.get_logger()

blueprint = Blueprint("provenance", __name__, url_prefix="/v1", description="How it was computed")


class ProvenanceQuery(Schema):
    """Whose transfer it is."""

    citizen_id = fields.String(
        load_default=None,
        metadata={"description": "`ctz_…`: auditors say whose; a citizen need not."},
    )


class RecordedActivityView(Schema):
    """The activity as it was recorded; times and quantities are null after an erasure."""

    id = fields.String(required=True)
    behavior = fields.String(required=True)
    source = fields.String(
        required=True, metadata={"description": "The source's name, or `citizen`."}
    )
    external_id = fields.String(required=True)
    revision = fields.Integer(required=True)
    evidence_tier = fields.String(required=True)
    started_at = fields.AwareDateTime(required=True, allow_none=True)
    ended_at = fields.AwareDateTime(required=True, allow_none=True)
    activity_data = fields.Dict(required=True, allow_none=True)
    recorded_at = fields.AwareDateTime(required=True)
    simulated = fields.Boolean(required=True)


class EvidenceView(Schema):
    """The digest that was stored when the record came in, and the text it is made of."""

    digest = fields.String(required=True, metadata={"description": "Hexadecimal SHA-256."})
    made_of = fields.String(required=True)
    text = fields.String(required=True, allow_none=True)
    matches = fields.Boolean(required=True)


class MethodologyUsedView(Schema):
    """The methodology version, in short; `href` leads to all of it."""

    code = fields.String(required=True)
    version = fields.Integer(required=True)
    title = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    formula = fields.String(required=True)
    uncertainty = fields.String(required=True)
    sources = fields.List(fields.String(), required=True)
    href = fields.String(required=True)


class FactorUsedView(Schema):
    """A factor's value as it was used."""

    role = fields.String(required=True, metadata={"description": "Its part in the formula."})
    key = fields.String(required=True)
    region = fields.String(required=True)
    version_id = fields.String(required=True)
    value = fields.String(required=True, metadata={"description": "Decimal."})
    unit = fields.String(required=True)
    in_force_from = fields.Date(required=True, allow_none=True)
    sources = fields.List(fields.String(), required=True)
    grade = fields.String(required=True, allow_none=True)
    mark = fields.String(required=True, allow_none=True)
    uncertainty = fields.String(required=True, allow_none=True)


class RulesUsedView(Schema):
    """The scheme rules by which grams became points."""

    version = fields.Integer(required=True, allow_none=True)
    in_force_from = fields.Date(required=True, allow_none=True)
    points_per_g = fields.String(required=True, allow_none=True)
    expiry_years = fields.Integer(required=True, allow_none=True)
    source = fields.String(required=True, allow_none=True)


class ResultView(Schema):
    """Grams of CO2e and points."""

    reduction_g = fields.Integer(required=True, allow_none=True)
    points = fields.Integer(required=True, allow_none=True)


class TakenBackView(Schema):
    """Why what was issued has been taken back since; the computation stays as it was."""

    code = fields.String(required=True)
    detail = fields.String(required=True, metadata={"description": "In the caller's language."})
    recorded_at = fields.AwareDateTime(required=True)
    transfer_id = fields.String(
        required=True,
        metadata={"description": "Of the taking back; nothing goes by it if all was spent."},
    )
    replaced_by = fields.String(
        required=True, allow_none=True, metadata={"description": "The restated activity."}
    )


class ProvenanceView(Schema):
    """Everything needed to compute an issue again."""

    transfer = fields.Nested(TransferView, required=True)
    status = fields.String(
        required=True,
        metadata={"description": "`equal`, `different`, or `erased`: recomputed just now."},
    )
    activity = fields.Nested(RecordedActivityView, required=True)
    evidence = fields.Nested(EvidenceView, required=True)
    methodology = fields.Nested(MethodologyUsedView, required=True, allow_none=True)
    region = fields.String(required=True, allow_none=True)
    factors = fields.List(fields.Nested(FactorUsedView), required=True)
    rounding = fields.String(required=True, allow_none=True)
    rules = fields.Nested(RulesUsedView, required=True)
    stored = fields.Nested(ResultView, required=True)
    recomputed = fields.Nested(ResultView, required=True)
    invalidation = fields.Nested(TakenBackView, required=True, allow_none=True)


@blueprint.get("/transfers/<transfer_id>/provenance")
@requires("citizen")
@requires("staff", role="auditor")
@blueprint.arguments(ProvenanceQuery, location="query")
@blueprint.response(200, ProvenanceView)
@blueprint.refusals(404, "id-unknown")
@blueprint.refusals(409, "transfer-not-computed")
def read_provenance(query: dict[str, Any], transfer_id: str) -> dict[str, Any]:
    """Return what an issue was computed from, and whether it still comes out the same."""
    citizen_id = _whose(query["citizen_id"])
    with raw_transaction() as connection:
        transfer = named_transfer(connection, citizen_id, transfer_id)
        origin = origin_of(connection, citizen_id, transfer.id)
        library = intake().shelf.rulebook(connection).library
    result = recomputed(origin, transfer.reduction_g, transfer.points)
    document = provenance(origin, library, result)
    document["transfer"] = transfer_view(transfer)
    document["activity"]["id"] = public_id(ACTIVITY, origin.activity_id)
    _tell_invalidation(document["invalidation"])
    return document


def _tell_invalidation(invalidation: dict[str, Any] | None) -> None:
    """Put it into the caller's words."""
    if invalidation is None:
        return
    language = language_of(request.headers.get("Accept-Language"))
    replaced_by = invalidation["replaced_by"]
    invalidation |= {
        "detail": sentence(invalidation["code"], None, language),
        "transfer_id": public_id(TRANSFER, invalidation["transfer_id"]),
        "replaced_by": None if replaced_by is None else public_id(ACTIVITY, replaced_by),
    }


def _whose(citizen: str | None) -> UUID:
    caller = current_caller()
    if caller.kind == "citizen":
        if citizen not in {None, public_id(CITIZEN, caller.id)}:
            raise IdUnknown("There is nothing by this id, or it is not yours to see.")
        return caller.id
    if citizen is None:
        raise ValidationFailed(
            "Please correct the fields named in errors.",
            errors=[
                ParameterFault("citizen_id", "field-missing", "Missing data for required field.")
            ],
        )
    wanted = uuid_of(CITIZEN, citizen)
    log.info("provenance_read_by_staff", staff_id=caller.id.hex, citizen_id=wanted.hex)
    return wanted
