"""Natural persons, over HTTP: a verification partner says who a citizen is."""

from typing import Any, Final

from flask import Response
from marshmallow import Schema, fields, validate

from service.identity.blueprint import blueprint
from service.identity.persons import (
    CARD,
    PersonDiffers,
    Verification,
    note_difference,
    verification_of,
    verify_person,
)
from service.web.access import current_caller, requires
from service.web.context import raw_transaction, runtime
from service.web.idempotency import Answer, answer_anew


class VerificationRequest(Schema):
    """Body of POST /v1/person-verifications; the number is checked, digested and forgotten."""

    subject = fields.String(
        required=True,
        validate=validate.Length(min=1, max=64),
        metadata={"example": "sub_" + "0" * 32},
    )
    document = fields.String(required=True, validate=validate.OneOf([CARD]))
    number = fields.String(
        required=True,
        validate=validate.Length(min=1, max=32),
        metadata={"description": "Eighteen characters, GB 11643."},
    )


class PersonView(Schema):
    """Whether a citizen's natural person is known."""

    verified = fields.Boolean(required=True)
    verified_at = fields.AwareDateTime(required=True, allow_none=True)
    verifier = fields.String(
        required=True, allow_none=True, metadata={"description": "The partner's name."}
    )


VERIFIED_BEFORE: Final = {
    "description": "It was known already.",
    "content": {"application/json": {"schema": PersonView}},
}


@blueprint.post("/v1/person-verifications")
@requires("partner", role="verifier", scope="persons:verify")
@blueprint.arguments(VerificationRequest)
@blueprint.repeatable(answer_is_kept=False)
@blueprint.response(201, PersonView)
@blueprint.doc(responses={"200": VERIFIED_BEFORE})
@blueprint.refusals(
    403,
    "consent-missing",
    "consent-revoked",
    "consent-expired",
    "consent-scope",
    "consent-uses-exhausted",
)
@blueprint.refusals(409, "person-differs")
@blueprint.refusals(422, "document-invalid")
def create_person_verification(body: dict[str, Any]) -> Response:
    """Say which natural person a citizen is, by the number of a document that was examined."""
    verifier_id = current_caller().id

    def effect() -> Answer:
        try:
            with raw_transaction() as connection:
                found, new = verify_person(
                    connection, runtime().keys, verifier_id, body["subject"], body["number"]
                )
        except PersonDiffers:
            with raw_transaction() as connection:
                note_difference(connection, verifier_id, body["subject"])
            raise
        return 201 if new else 200, PersonView().dump(found)

    # No digest of this body is kept: the number could be found from it by trying.
    return answer_anew(effect)


@blueprint.get("/v1/me/person")
@requires("citizen")
@blueprint.response(200, PersonView)
def read_my_person() -> Verification:
    """Show a citizen whether her natural person is known, and from whom."""
    with raw_transaction() as connection:
        return verification_of(connection, current_caller().id)
