"""Partners' access tokens: Authlib's token endpoint, with client credentials and private_key_jwt.

Authlib carries the protocol. On top of it stand our rules: our issuer is the only audience, an
assertion lives five minutes at most and works once (RFC 7523 and rfc7523bis). What an assertion
must look like is in `assertions.py`.
"""

from datetime import timedelta
from typing import Any

import psycopg
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.integrations.flask_oauth2.requests import FlaskOAuth2Payload
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import (
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Request,
    UnsupportedGrantTypeError,
)
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from flask import Request, Response, request
from joserfc.jwk import KeySet

from service.access_tokens import AccessTokens
from service.errors import DomainError
from service.ids import PARTNER, uuid_of
from service.partners.assertions import AUTH_METHOD, ClientAssertion
from service.partners.key_sets import public_keys
from service.partners.organisations import Partner, key_set_of, partners_by_id
from service.partners.profiles import Profile, profile_of
from service.partners.scopes import Grant, granted

LIFETIME = timedelta(minutes=10)
FORM = "application/x-www-form-urlencoded"
GRANT = ClientCredentialsGrant.GRANT_TYPE


class Client:
    """A partner as Authlib asks about it."""

    def __init__(self, partner: Partner, profile: Profile, keys: KeySet) -> None:
        self.partner = partner
        self.profile = profile
        self.keys = keys

    def granted(self, asked: str | None) -> Grant | None:
        """Return what it gets that asks for some scope; None: it may not have it."""
        return granted(self.partner.roles, self.profile.scopes, asked or "")

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Say whether it may prove itself this way."""
        return (method, endpoint) == (AUTH_METHOD, "token")

    def check_grant_type(self, grant_type: str) -> bool:
        """Say whether it may ask for tokens this way."""
        return bool(grant_type == GRANT)


class TokenEndpoint(AuthorizationServer):  # type: ignore[misc]  # Authlib has no types
    """Answers one request for a token, inside the request's transaction.

    A refusal is an answer too, not an exception: what was used up by it stays used up.
    """

    def __init__(
        self, connection: psycopg.Connection[Any], tokens: AccessTokens, issuer: str
    ) -> None:
        super().__init__()
        self._connection = connection
        self._tokens = tokens
        self.register_grant(_PartnerCredentials)
        self.register_token_generator("default", self._token)
        self.register_client_auth_method(AUTH_METHOD, ClientAssertion(connection, issuer))

    def answer(self) -> Response:
        """Return the token, or the OAuth error (RFC 6749 §5)."""
        try:
            _refuse_other_forms(request)
        except OAuth2Error as error:
            return self.handle_error_response(None, error)
        response: Response = self.create_token_response()
        return response

    def query_client(self, client_id: str) -> Client | None:
        """Return a partner that may have tokens now."""
        try:
            partner_id = uuid_of(PARTNER, client_id)
        except DomainError:
            return None
        partner = partners_by_id(self._connection, [partner_id]).get(partner_id)
        if partner is None or not partner.is_active:
            return None
        profile = profile_of(self._connection, partner_id)
        return Client(partner, profile, public_keys(key_set_of(self._connection, partner_id)))

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        """Keep nothing: a token proves itself, and ends in ten minutes."""

    def create_oauth2_request(self, request: Request | None) -> OAuth2Request:  # noqa: ARG002  Authlib's signature
        """Return the present request as Authlib reads it."""
        return _FormRequest()

    def handle_error_response(self, request: OAuth2Request | None, error: OAuth2Error) -> Response:
        """Answer an error; a client that is not known gets 401 whatever it used (RFC 6749 §5.2)."""
        status, body, headers = error(self.get_error_uri(request, error))
        if error.error == "invalid_client":
            kept = [(name, value) for name, value in headers if name != "WWW-Authenticate"]
            status, headers = 401, [*kept, ("WWW-Authenticate", 'Bearer realm="carbon"')]
        response: Response = self.handle_response(status, body, headers)
        return response

    def _token(self, *, client: Client, scope: str | None, **_: Any) -> dict[str, Any]:
        partner, grant = client.partner, client.granted(scope)
        assert grant is not None  # noqa: S101  the scope was validated before
        return {
            "access_token": self._tokens.issue(
                "partner",
                partner.id,
                session_id=partner.id,  # its tokens live while it is not suspended
                roles=grant.roles,
                scopes=grant.names,
                name=partner.name,
                lifetime=LIFETIME,
            ),
            "token_type": "Bearer",
            "expires_in": int(LIFETIME.total_seconds()),
            "scope": " ".join(sorted(grant.names)),
        }


class _PartnerCredentials(ClientCredentialsGrant):  # type: ignore[misc]  # Authlib has no types
    """Client credentials; a scope narrows the token, see `scopes`."""

    TOKEN_ENDPOINT_AUTH_METHODS = (AUTH_METHOD,)

    def validate_requested_scope(self) -> None:
        """Refuse a scope that the partner may not have."""
        if self.request.client.granted(self.request.payload.scope) is None:
            raise InvalidScopeError


class _FormRequest(OAuth2Request):  # type: ignore[misc]  # Authlib has no types
    """The present request: its parameters come from the body and from nowhere else."""

    def __init__(self) -> None:
        # Encryption ends at the proxy in front of us, so the address seen here says nothing of it.
        address = request.url.replace("http://", "https://", 1)
        super().__init__(method=request.method, uri=address, headers=request.headers)
        self.payload = _FormPayload(request)

    @property
    def form(self) -> Any:
        """The body's parameters."""
        return request.form


class _FormPayload(FlaskOAuth2Payload):  # type: ignore[misc]  # Authlib has no types
    @property
    def data(self) -> Any:
        return request.form


def _refuse_other_forms(received: Request) -> None:
    """Refuse what is no form, repeats a parameter, or asks for another grant (RFC 6749 §3.2)."""
    if received.mimetype != FORM:
        raise InvalidRequestError(f"The body has to be {FORM}.")
    if any(len(values) > 1 for _, values in received.form.lists()):
        raise InvalidRequestError("A parameter appears more than once.")
    if not received.form.get("grant_type"):
        raise InvalidRequestError("The parameter grant_type is missing.")
    if received.form["grant_type"] != GRANT:
        # Authlib would repeat the caller's words in its answer.
        raise UnsupportedGrantTypeError(GRANT)
