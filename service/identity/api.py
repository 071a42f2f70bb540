"""Signing in, over HTTP: codes, tokens, logging out, and staff."""

from typing import Any

from service.access_tokens import LIFETIME
from service.identity import my_api, operators_api, persons_api, source_links_api
from service.identity.blueprint import blueprint, settled
from service.identity.consents import api as consents_api
from service.identity.one_time_codes import issue_code
from service.identity.phones import read_phone
from service.identity.schemas import (
    OtpRequest,
    OtpView,
    StaffTokenRequest,
    StaffTokenView,
    TokenRequest,
    TokensView,
)
from service.identity.sessions import SignedIn, end_session, rotate
from service.identity.sign_in import read_proof, sign_in
from service.identity.sms import TO_FILE, CodeMessage, send
from service.identity.staff import TOKEN_LIFETIME, log_in
from service.ids import OTP_REQUEST, public_id
from service.web.access import current_caller, requires, sessions
from service.web.context import access_tokens, runtime, transaction

__all__ = [
    "blueprint",
    "consents_api",
    "my_api",
    "operators_api",
    "persons_api",
    "source_links_api",
]


@blueprint.post("/v1/auth/otp")
@requires("anyone")
@blueprint.arguments(OtpRequest)
@blueprint.response(202, OtpView)
@blueprint.refusals(422, "phone-invalid")
@blueprint.refusals(429, "otp-too-soon", "otp-limit-reached", "otp-ceiling-reached")
@blueprint.refusals(503, "sms-unavailable")
def request_code(body: dict[str, Any]) -> dict[str, str]:
    """Send a one-time code to a number."""
    phone = read_phone(body["phone"])
    with transaction() as session:
        issued = issue_code(session, runtime().keys, phone)
    request_id = public_id(OTP_REQUEST, issued.request_id)
    settings = runtime().settings
    # Whoever looks into the developers' file looks for what she typed.
    addressee = body["phone"] if settings.sms_sender == TO_FILE else phone.e164
    send(settings, CodeMessage(addressee, issued.code, request_id))
    return {"request_id": request_id}


@blueprint.post("/v1/auth/tokens")
@requires("anyone")
@blueprint.arguments(TokenRequest)
@blueprint.response(200, TokensView)
@blueprint.refusals(401, "otp-invalid", "refresh-token-invalid", "refresh-token-reused")
@blueprint.refusals(403, "account-frozen")
@blueprint.refusals(409, "number-idle", "device-unknown")
def create_tokens(body: dict[str, Any]) -> dict[str, Any]:
    """Sign in with a code, or continue a sign-in with its refresh token."""
    if body["grant_type"] == "refresh_token":
        return _tokens(_continued(body["refresh_token"]))
    proof = read_proof(body["request_id"], body["code"])
    with transaction() as session:
        outcome = sign_in(
            session,
            runtime().keys,
            proof,
            device_id=body["device_id"],
            not_my_account=body["not_my_account"],
        )
    return _tokens(settled(outcome))


@blueprint.post("/v1/auth/revocations")
@requires("citizen")
@blueprint.response(204)
def sign_out() -> None:
    """Sign out: this session's refresh token is worth nothing from now on."""
    session_id = current_caller().session_id
    if session_id is not None:
        with transaction() as session:
            end_session(session, session_id, because="signed_out")
        sessions().forget(session_id)


@blueprint.post("/v1/auth/staff-tokens")
@requires("anyone")
@blueprint.arguments(StaffTokenRequest)
@blueprint.response(200, StaffTokenView)
@blueprint.refusals(401, "staff-login-refused")
@blueprint.refusals(429, "staff-locked")
def create_staff_token(body: dict[str, Any]) -> dict[str, Any]:
    """Log in as staff."""
    with transaction() as session:
        outcome = log_in(session, runtime().keys, body["name"], body["password"], body["totp"])
    staff = settled(outcome)
    return {
        "access_token": access_tokens().issue(
            "staff", staff.id, session_id=staff.id, roles=[staff.role], lifetime=TOKEN_LIFETIME
        ),
        "token_type": "Bearer",
        "expires_in": int(TOKEN_LIFETIME.total_seconds()),
        "staff_id": staff.id,
        "role": staff.role,
    }


def _continued(refresh_token: str) -> SignedIn:
    with transaction() as session:
        outcome = rotate(session, refresh_token)
    return settled(outcome)


def _tokens(signed_in: SignedIn) -> dict[str, Any]:
    citizen_id, session_id = signed_in.citizen_id, signed_in.session_id
    return {
        "access_token": access_tokens().issue("citizen", citizen_id, session_id=session_id),
        "refresh_token": signed_in.refresh_token,
        "token_type": "Bearer",
        "expires_in": int(LIFETIME.total_seconds()),
        "citizen_id": citizen_id,
    }
