"""Quotes and redemptions over HTTP: a citizen accepts, her partner confirms."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from flask import Response, jsonify

from service import clock
from service.errors import DomainError
from service.identity.consents.checking import ask_consent, consent_from, log_access, refusal_of_use
from service.ids import CONSENT, OFFER, QUOTE, REDEMPTION, uuid_if_said, uuid_of
from service.pipelining import Connection
from service.rewards.entitlements.documents import entitlement
from service.rewards.entitlements.status_lists import DOCUMENT_TYPE, TTL_S, status_list
from service.rewards.offers.catalogue import terms_of
from service.rewards.offers.counters import refusal_of as refusal_of_count
from service.rewards.redemptions import schemas
from service.rewards.redemptions.capturing import (
    CaptureWish,
    capture_redemption,
    repeated_capture,
)
from service.rewards.redemptions.ending import decline, request_void, void
from service.rewards.redemptions.quotes import Quoting, ask_quote, quote_from, quote_view
from service.rewards.redemptions.reading import (
    RedemptionLine,
    records_of,
    redemption_of,
    redemption_view,
    redemptions_of,
    written_view,
)
from service.rewards.redemptions.reserving import Reserving
from service.rewards.redemptions.reversing import ReversalWish, reverse
from service.rewards.redemptions.stepping import (
    actor,
    created,
    refusal_of,
    said_of,
    step_once,
    was_shown,
)
from service.rewards.redemptions.steps import Redemption, unknown
from service.rewards.redemptions.submitting import Submitting
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import raw_transaction, runtime
from service.web.idempotency import Answer
from service.web.pagination import Page, list_view
from service.web.verdicts import Begun, answer_once_gathered

blueprint = Blueprint(
    "redemptions", __name__, url_prefix="/v1", description="Quotes, redemptions, entitlements"
)

CONSENT_REFUSALS = ("consent-missing", "consent-expired", "consent-revoked", "consent-scope")
SPENDING_REFUSALS = ("account-frozen", "spending-held")


@blueprint.post("/quotes")
@requires("citizen")
@blueprint.repeatable()
@blueprint.arguments(schemas.QuoteRequest)
@blueprint.response(201, schemas.QuoteView)
@blueprint.refusals(403, *CONSENT_REFUSALS)
@blueprint.refusals(404, "offer-unknown", "id-unknown")
@blueprint.refusals(409, "offer-not-active", "not-eligible")
def create_quote(wish: dict[str, Any]) -> Response:
    """Say what an offer would give her and cost her, bound to its terms for some minutes."""
    offer_id, consent_id = uuid_of(OFFER, wish["offer_id"]), uuid_of(CONSENT, wish["consent_id"])

    def begin(connection: Connection) -> Begun:
        quoting = Quoting(connection, current_caller().id, offer_id, consent_id)

        def act() -> Answer:
            quote, terms, lots = quoting.write()
            return 201, quote_view(quote, terms, runtime().keys, runtime().settings.issuer, lots)

        return act

    return answer_once_gathered(begin, refusal_of, needs_key=False)


@blueprint.get("/quotes/<quote_id>")
@requires("citizen")
@blueprint.response(200, schemas.QuoteView)
@blueprint.refusals(404, "quote-unknown", "id-unknown")
def show_quote(quote_id: str) -> Response:
    """Show one of her quotes, whether or not it is still valid."""
    with raw_transaction() as connection:
        quote = quote_from(ask_quote(connection, current_caller().id, uuid_of(QUOTE, quote_id)))
        terms = terms_of(connection, quote.offer_id, quote.offer_version)
    return jsonify(quote_view(quote, terms, runtime().keys, runtime().settings.issuer, []))


@blueprint.post("/redemptions")
@requires("citizen")
@blueprint.repeatable()
@blueprint.arguments(schemas.RedemptionRequest)
@blueprint.response(201, schemas.RedemptionView)
@blueprint.refusals(403, *CONSENT_REFUSALS, *SPENDING_REFUSALS, "consent-uses-exhausted")
@blueprint.refusals(404, "quote-unknown", "id-unknown")
@blueprint.refusals(
    409,
    *("quote-expired", "quote-terms-changed", "quote-used", "offer-not-active"),
    *("insufficient-points", "offer-quota-exhausted", "campaign-budget-exhausted"),
    *("person-limit-reached", "person-not-verified"),
)
def create_redemption(wish: dict[str, Any]) -> Response:
    """Accept a quote: her points are held and one of the offer is hers, or neither.

    With `submit` it is shown to the partner in the same moment, and the answer has the entitlement.
    """
    submits = wish["submit"]
    quote_id = uuid_of(QUOTE, wish["quote_id"])
    consent_id = uuid_if_said(CONSENT, wish["consent_id"])
    begun: list[Reserving] = []

    def begin(connection: Connection) -> Begun:
        citizen_id = current_caller().id
        reserving = Reserving(connection, citizen_id, quote_id, consent_id, submits=submits)
        begun.append(reserving)

        def act() -> Answer:
            written, terms = reserving.write(actor())
            redemption = written.redemption
            shown = redemption_view(redemption, terms)
            if submits:
                keys, issuer = runtime().keys, runtime().settings.issuer
                at = written.recorded_at
                shown["entitlement"] = entitlement(keys, issuer, redemption, terms, at)
            return 201, shown

        return act

    def refused(error: psycopg.errors.IntegrityError) -> DomainError | None:
        if isinstance(error, psycopg.errors.CheckViolation) and begun:
            return refusal_of_use(error) or refusal_of_count(error, begun[-1].taking)
        return refusal_of(error)

    return answer_once_gathered(begin, refused)


@blueprint.get("/redemptions")
@requires("citizen")
@requires("partner", scope="redemptions:read")
@blueprint.arguments(schemas.RedemptionsQuery, location="query")
@blueprint.response(200, list_view(schemas.RedemptionLineView))
@blueprint.refusals(400, "cursor-invalid")
def list_redemptions(query: dict[str, Any]) -> Any:
    """List the caller's redemptions, the newest first; to a partner they name nobody."""
    page, caller = Page.asked(query), current_caller()
    with raw_transaction() as connection:
        found = redemptions_of(
            connection,
            is_partner=caller.kind == "partner",
            whose=caller.id,
            state=query["state"],
            rows=page.rows_needed,
            after=_after(page),
        )
    body, status, headers = page.answer(found, _position)
    return jsonify({**body, "items": [line.view() for line in body["items"]]}), status, headers


@blueprint.get("/redemptions/<redemption_id>")
@requires("citizen")
@requires("partner", scope="redemptions:read")
@blueprint.response(200, schemas.RedemptionView)
@blueprint.refusals(403, *CONSENT_REFUSALS)
@blueprint.refusals(404, "redemption-unknown", "id-unknown")
def show_redemption(redemption_id: str) -> Response:
    """Show a redemption with its records.

    A partner sees those that she has submitted to it, while her consent lasts; she can read that
    it looked.
    """
    with raw_transaction() as connection:
        redemption = redemption_of(connection, uuid_of(REDEMPTION, redemption_id))
        terms = terms_of(connection, redemption.offer_id, redemption.offer_version)
        shown = redemption_view(redemption, terms)
        if current_caller().kind == "partner":
            shown |= _seen_by_partner(connection, redemption)
        elif redemption.citizen_id != current_caller().id:
            raise unknown()
        return jsonify(shown | {"records": records_of(connection, redemption.id)})


@blueprint.post("/redemptions/<redemption_id>/submissions")
@requires("citizen")
@blueprint.repeatable()
@blueprint.response(201, schemas.SubmissionView)
@blueprint.refusals(403, *CONSENT_REFUSALS, *SPENDING_REFUSALS, "consent-uses-exhausted")
@blueprint.refusals(404, "redemption-unknown", "id-unknown")
@blueprint.refusals(409, "state-conflict", "offer-not-active")
def submit_redemption(redemption_id: str) -> Response:
    """Show a redemption to its partner; the answer holds the entitlement."""
    wanted = uuid_of(REDEMPTION, redemption_id)

    def begin(connection: Connection) -> Begun:
        submitting = Submitting(connection, current_caller().id, wanted)

        def act() -> Answer:
            settings = runtime().settings
            written, document = submitting.write(actor(), runtime().keys, settings.issuer)
            deadline_at = written.redemption.deadline_at
            return 201, {
                **written_view(written),
                "entitlement": document,
                "deadline_at": deadline_at and deadline_at.isoformat(),
            }

        return act

    return answer_once_gathered(begin, refusal_of)


@blueprint.post("/redemptions/<redemption_id>/captures")
@requires("partner", scope="redemptions:capture")
@blueprint.repeatable()
@blueprint.arguments(schemas.CaptureRequest)
@blueprint.response(201, schemas.RecordView)
@blueprint.alt_response(200, schema=schemas.RecordView, description="It was captured so before")
@blueprint.refusals(404, "redemption-unknown", "id-unknown")
@blueprint.refusals(
    409, "state-conflict", "late-capture-refused", "terms-mismatch", "partner-reference-reused"
)
@blueprint.refusals(422, "capture-exceeds-hold", "benefit-differs")
def capture(body: dict[str, Any], redemption_id: str) -> Response:
    """Confirm a redemption, all of its points or a part; the rest returns to her at once.

    A revoked consent does not stand in the way: what was submitted is finished.
    """
    wish = CaptureWish(**body)

    def step(connection: Connection, redemption: Redemption) -> Answer:
        if redemption.state not in {"submitted", "unknown", "expired"}:
            before = repeated_capture(connection, redemption, wish)
            if before is not None:
                return 200, records_of(connection, redemption.id, before[1])[0]
        return 201, written_view(capture_redemption(connection, redemption, wish, actor()))

    return step_once(redemption_id, step)


@blueprint.post("/redemptions/<redemption_id>/declines")
@requires("partner", scope="redemptions:capture")
@blueprint.repeatable()
@blueprint.arguments(schemas.DeclineRequest)
@blueprint.response(201, schemas.RecordView)
@blueprint.refusals(404, "redemption-unknown", "id-unknown")
@blueprint.refusals(409, "state-conflict", "partner-reference-reused")
def decline_redemption(body: dict[str, Any], redemption_id: str) -> Response:
    """Refuse a redemption; everything returns to her, and she sees the reason."""
    said, reference = said_of(body)
    return step_once(
        redemption_id,
        lambda connection, redemption: created(
            decline(connection, redemption, actor(), said, reference)
        ),
    )


@blueprint.post("/redemptions/<redemption_id>/voids")
@requires("citizen")
@requires("partner", scope="redemptions:void")
@blueprint.repeatable()
@blueprint.arguments(schemas.VoidRequest)
@blueprint.response(201, schemas.RecordView)
@blueprint.refusals(404, "redemption-unknown", "id-unknown")
@blueprint.refusals(409, "state-conflict", "partner-reference-reused")
def void_redemption(body: dict[str, Any], redemption_id: str) -> Response:
    """Undo a redemption: the citizen before its partner knows of it, then the partner.

    Of what was submitted, hers is a wish (`void_request`) that the partner grants with its own.
    """
    said, reference = said_of(body)

    def step(connection: Connection, redemption: Redemption) -> Answer:
        if current_caller().kind == "citizen" and redemption.state != "reserved":
            return created(request_void(connection, redemption, actor(), said))
        return created(void(connection, redemption, actor(), said, reference))

    return step_once(redemption_id, step)


@blueprint.post("/redemptions/<redemption_id>/reversals")
@requires("partner", scope="redemptions:reverse")
@blueprint.repeatable()
@blueprint.arguments(schemas.ReversalRequest)
@blueprint.response(201, schemas.RecordView)
@blueprint.refusals(404, "redemption-unknown", "id-unknown")
@blueprint.refusals(409, "state-conflict", "reversal-too-late", "partner-reference-reused")
@blueprint.refusals(422, "reversal-exceeds-capture")
def reverse_capture(body: dict[str, Any], redemption_id: str) -> Response:
    """Take a captured benefit back, all or a share; her points return pro rata."""
    share = body["share"] and Decimal(body["share"])
    wish = ReversalWish(**{**body, "share": share})
    return step_once(
        redemption_id,
        lambda connection, redemption: created(reverse(connection, redemption, wish, actor())),
    )


@blueprint.get("/status-lists/<int:number>")
@requires("anyone")
@blueprint.response(200, content_type=f"application/{DOCUMENT_TYPE}")
@blueprint.refusals(404, "status-list-unknown")
def show_status_list(number: int) -> Response:
    """Give a signed list of bits: 1 where an entitlement no longer holds."""
    with raw_transaction() as connection:
        settings = runtime().settings
        signed = status_list(connection, runtime().keys, settings.issuer, number)
    response = Response(signed, mimetype=f"application/{DOCUMENT_TYPE}")
    response.headers["Cache-Control"] = f"public, max-age={TTL_S}"
    return response


# --- what the views share ----------------------------------------------------------------------


def _seen_by_partner(connection: Connection, redemption: Redemption) -> dict[str, Any]:
    """Return what its partner alone is shown, and write down that it looked."""
    if redemption.partner_id != current_caller().id or not was_shown(redemption):
        raise unknown()
    consent = consent_from(ask_consent(connection, redemption.consent_id))
    consent.require(citizen_id=redemption.citizen_id, partner_id=redemption.partner_id)
    log_access(connection, consent, "redemption.read", redemption.public_id)
    shown: dict[str, Any] = {"subject": redemption.subject}
    if redemption.state == "submitted":
        keys, issuer = runtime().keys, runtime().settings.issuer
        terms = terms_of(connection, redemption.offer_id, redemption.offer_version)
        shown["entitlement"] = entitlement(keys, issuer, redemption, terms, clock.now())
    return shown


def _position(line: RedemptionLine) -> list[str | int]:
    return [line.recorded_at.isoformat(), line.id.hex]


def _after(page: Page) -> tuple[datetime, UUID] | None:
    if page.after is None:
        return None
    recorded_at, redemption_id = page.after
    return datetime.fromisoformat(str(recorded_at)), UUID(hex=str(redemption_id))
