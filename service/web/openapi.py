"""The OpenAPI 3.1 document, made from the routes themselves, and a page to read it."""

import json
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any

import flask_smorest
from flask import Flask, Response, current_app
from marshmallow import INCLUDE, Schema, fields

from service.web.access import requires
from service.web.blueprint import Blueprint
from service.web.documenting import problem

blueprint = Blueprint("openapi", __name__, description="The contract, for programs and for people")

API_VERSION = "1.0"
DOCS_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"

# What flask-smorest answers for a view by itself: bodies and queries that miss their schema.
REFUSED_BY_STATUS = {HTTPStatus.UNPROCESSABLE_ENTITY: "validation-failed"}


class FieldFaultView(Schema):
    """One thing wrong with one field or parameter."""

    pointer = fields.String(metadata={"description": "JSON pointer (RFC 6901) into the body."})
    parameter = fields.String(metadata={"description": "Name of a query parameter."})
    code = fields.String(required=True, metadata={"example": "field-missing"})
    detail = fields.String(required=True)


class ProblemView(Schema):
    """A refusal (RFC 9457); some codes add members of their own."""

    class Meta:
        """Members of single codes are documented in docs/problems.md."""

        unknown = INCLUDE

    type = fields.String(required=True, metadata={"example": "/problems/validation-failed"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    instance = fields.String(required=True)
    code = fields.String(required=True, metadata={"description": "Stable in every language."})
    retryable = fields.Boolean(required=True)
    request_id = fields.String(required=True)
    errors = fields.List(fields.Nested(FieldFaultView))


class Api(flask_smorest.Api):  # type: ignore[misc]  # flask-smorest has no types
    """flask-smorest, leaving every error to `service.web.problems`."""

    ERROR_SCHEMA = ProblemView

    def _register_error_handlers(self) -> None:
        """Do nothing: problem documents are registered for the whole application."""

    def _register_responses(self) -> None:
        """Name the problem document once; operations refer to it."""
        self.spec.components.schema("Problem", schema=ProblemView)
        self.spec.components.response("DEFAULT_ERROR", problem("Any other refusal"), lazy=True)
        for status in HTTPStatus:
            words = REFUSED_BY_STATUS.get(status, status.phrase)
            self.spec.components.response(status.name, problem(words), lazy=True)
        self.spec.components.security_scheme(
            "accessToken", {"type": "http", "scheme": "bearer", "bearerFormat": "at+jwt"}
        )

    def _register_pagination_header(self) -> None:
        """Do nothing: lists are paged by cursor, see `service.web.pagination`."""


def describe(app: Flask) -> Api:
    """Return the collector of routes for the OpenAPI document."""
    app.config |= {
        "API_TITLE": "Carbon inclusion",
        "API_VERSION": API_VERSION,
        "OPENAPI_VERSION": "3.1.0",
        "API_SPEC_OPTIONS": {
            "info": {
                "summary": "Green acts become certified grams, grams become points.",
                "description": "Refusals are RFC 9457 problem documents, in Chinese or English.",
            },
        },
    }
    return Api(app)


def spec_of(app: Flask) -> dict[str, Any]:
    """Return the whole OpenAPI document."""
    api = app.extensions["flask-smorest"]["apis"][""]["ext_obj"]
    document: dict[str, Any] = api.spec.to_dict()
    return document


@blueprint.get("/openapi.json")
@requires("anyone")
@blueprint.response(200, description="OpenAPI 3.1")
def read_openapi() -> Response:
    """Return the OpenAPI 3.1 document of this service."""
    document = json.dumps(spec_of(current_app), ensure_ascii=False)
    return Response(document, mimetype="application/json", headers=_cached())


@blueprint.get("/docs")
@requires("anyone")
@blueprint.response(200, content_type="text/html", description="A page")
def read_docs() -> Response:
    """Return a page that shows the OpenAPI document; it loads nothing from elsewhere."""
    return _page("docs.html", "text/html", {"Content-Security-Policy": DOCS_POLICY})


@blueprint.get("/docs/reference.js")
@requires("anyone")
@blueprint.response(200, content_type="text/javascript", description="The page's script")
def read_docs_script() -> Response:
    """Return the script of the page."""
    return _page("docs.js", "text/javascript")


@blueprint.get("/docs/reference.css")
@requires("anyone")
@blueprint.response(200, content_type="text/css", description="The page's style")
def read_docs_style() -> Response:
    """Return the style of the page."""
    return _page("docs.css", "text/css")


def _page(name: str, media_type: str, headers: dict[str, str] | None = None) -> Response:
    return Response(_file(name), mimetype=media_type, headers={**_cached(), **(headers or {})})


def _cached() -> dict[str, str]:
    return {"Cache-Control": "public, max-age=300"}


@cache
def _file(name: str) -> bytes:
    return (files("service.web") / "docs_page" / name).read_bytes()
