"""Tokens for partners, over HTTP, and what a partner's library needs to find them."""

import json
from typing import Any

from flask import Response, request

from service.partners.assertions import ALGORITHMS, AUTH_METHOD
from service.partners.scopes import ROLES, SCOPES
from service.partners.tokens import FORM, GRANT, TokenEndpoint
from service.web.access import requires
from service.web.blueprint import Blueprint
from service.web.context import access_tokens, raw_transaction, runtime

blueprint = Blueprint("partners", __name__, description="Partners' tokens and our public keys")

CACHED_S = 300

TOKEN_FORM = {
    "type": "object",
    "required": ["grant_type", "client_assertion_type", "client_assertion"],
    "properties": {
        "grant_type": {"const": GRANT},
        "client_assertion_type": {
            "const": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        },
        "client_assertion": {
            "type": "string",
            "description": "A JWT signed with a registered key; audience: our issuer, alone.",
        },
        "scope": {
            "type": "string",
            "description": "Some of the partner's roles and scopes; all of them by default.",
        },
    },
}


@blueprint.post("/oauth/token")
@requires("anyone")
@blueprint.doc(requestBody={"required": True, "content": {FORM: {"schema": TOKEN_FORM}}})
@blueprint.response(200, description="An access token (RFC 6749 §5.1), for ten minutes.")
@blueprint.doc(
    responses={
        "400": {"description": "invalid_request, unsupported_grant_type, invalid_scope"},
        "401": {"description": "invalid_client"},
    }
)
def create_partner_token() -> Response:
    """Exchange a signed client assertion for an access token."""
    with raw_transaction() as connection:
        return TokenEndpoint(connection, access_tokens(), runtime().settings.issuer).answer()


@blueprint.get("/.well-known/oauth-authorization-server")
@requires("anyone")
@blueprint.response(200, description="Authorization server metadata (RFC 8414).")
def read_metadata() -> Response:
    """Say where tokens are had, and how."""
    issuer = runtime().settings.issuer
    return _public(
        {
            "issuer": issuer,
            "token_endpoint": f"{issuer}/oauth/token",
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "scopes_supported": sorted(ROLES | SCOPES),
            "response_types_supported": [],
            "grant_types_supported": [GRANT],
            "token_endpoint_auth_methods_supported": [AUTH_METHOD],
            "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
            "service_documentation": f"{issuer}/docs",
        }
    )


@blueprint.get("/.well-known/jwks.json")
@requires("anyone")
@blueprint.response(200, description="Our public keys (RFC 7517).")
def read_public_keys() -> Response:
    """Give the keys by which our tokens are verified."""
    return _public(runtime().keys.public_jwks())


def _public(document: dict[str, Any]) -> Response:
    """Answer with a document that may be cached, or with 304 where it is cached already."""
    response = Response(json.dumps(document), mimetype="application/json")
    response.headers["Cache-Control"] = f"public, max-age={CACHED_S}"
    response.add_etag()
    response.make_conditional(request)
    return response
