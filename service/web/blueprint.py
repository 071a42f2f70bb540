"""The blueprint of every `api.py`: reads bodies strictly, documents callers and problems."""

from collections.abc import Callable
from typing import Any, NoReturn, Protocol, TypeVar

import flask_smorest
from flask import Request
from marshmallow import RAISE, Schema, ValidationError, fields
from webargs.core import missing
from webargs.flaskparser import FlaskParser

from service.web import validation
from service.web.access import Rule, is_public
from service.web.problems import MEDIA_TYPE
from service.web.refusals import DuplicateKey, ParameterFault

View = TypeVar("View", bound=Callable[..., Any])


class Decorator(Protocol):
    """Takes a view and gives it back with the type it had."""

    def __call__(self, view: View, /) -> View:
        """Return the view, decorated."""


PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}


class StrictParser(FlaskParser):
    """Reads arguments for a view; refuses what the schema does not know."""

    DEFAULT_UNKNOWN_BY_LOCATION = {  # noqa: RUF012  webargs declares it so
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": RAISE,
        "querystring": RAISE,
    }

    def load_json(self, req: Request, schema: Schema) -> Any:  # noqa: ARG002  webargs' signature
        """Return the JSON body, or `missing` when nothing at all was sent."""
        if not req.content_length and not req.mimetype and not req.get_data():
            return missing
        return req.get_json()

    def load_querystring(self, req: Request, schema: Schema) -> Any:
        """Return the query's parameters, each of which may be given once."""
        for name, values in req.args.lists():
            if len(values) > 1 and not isinstance(schema.fields.get(name), fields.List):
                raise DuplicateKey(
                    "Please give each parameter once.",
                    errors=[
                        ParameterFault(name, DuplicateKey.code, "This parameter appears twice.")
                    ],
                )
        return super().load_querystring(req, schema)

    def handle_error(
        self,
        error: ValidationError,
        req: Request,  # noqa: ARG002  webargs' signature
        schema: Schema,  # noqa: ARG002
        *,
        error_status_code: int | None,  # noqa: ARG002
        error_headers: Any,  # noqa: ARG002
    ) -> NoReturn:
        """Refuse with the faults the schema found."""
        validation.refuse(error.messages_dict)


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # flask-smorest has no types
    """A flask-smorest blueprint of this house; use it instead of the library's."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepare_doc_cbks.append(_document_access)

    # The library has no types; these say that a decorated view keeps its own.

    def get(self, rule: str, **options: Any) -> Decorator:
        """Answer GET at an address."""
        return self.route(rule, methods=["GET"], **options)

    def post(self, rule: str, **options: Any) -> Decorator:
        """Answer POST at an address."""
        return self.route(rule, methods=["POST"], **options)

    def put(self, rule: str, **options: Any) -> Decorator:
        """Answer PUT at an address."""
        return self.route(rule, methods=["PUT"], **options)

    def delete(self, rule: str, **options: Any) -> Decorator:
        """Answer DELETE at an address."""
        return self.route(rule, methods=["DELETE"], **options)

    def route(self, rule: str, **options: Any) -> Decorator:
        """Answer at an address, and document it."""
        decorator: Decorator = super().route(rule, **options)
        return decorator

    def arguments(
        self, schema: type[Schema] | Schema, *, location: str = "json", **options: Any
    ) -> Decorator:
        """Read a body (or `location="query"`) by a schema and give it to the view."""
        decorator: Decorator = super().arguments(schema, location=location, **options)
        return decorator

    def response(
        self, status_code: int, schema: type[Schema] | Schema | None = None, **options: Any
    ) -> Decorator:
        """Answer with a status and what a schema makes of the view's result."""
        decorator: Decorator = super().response(status_code, schema, **options)
        return decorator

    def refusals(self, status_code: int, *codes: str) -> Decorator:
        """Document the codes with which a view refuses, under their status."""
        decorator: Decorator = self.alt_response(
            status_code,
            schema=PROBLEM_SCHEMA,
            content_type=MEDIA_TYPE,
            description=", ".join(codes),
            success=False,
        )
        return decorator

    def doc(self, **members: Any) -> Decorator:
        """Add members to a view's OpenAPI operation."""
        decorator: Decorator = super().doc(**members)
        return decorator


def _document_access(doc: dict[str, Any], doc_info: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Say in the OpenAPI document who may call an operation and how it refuses."""
    rules: tuple[Rule, ...] = doc_info.get("access", ())
    doc["security"] = [] if is_public(rules) else [{"accessToken": _scopes(rules)}]
    doc["x-callers"] = [_caller_words(rule) for rule in rules]
    responses = doc.setdefault("responses", {})
    responses.setdefault("default", problem("Any refusal, as a problem document"))
    if not is_public(rules):
        responses.setdefault("401", problem("token-missing, token-invalid, token-expired"))
        responses.setdefault("403", problem("role-missing"))
    return doc


def problem(description: str) -> dict[str, Any]:
    """Return the OpenAPI response object of a problem."""
    return {"description": description, "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}}}


def _scopes(rules: tuple[Rule, ...]) -> list[str]:
    return sorted({rule.scope for rule in rules if rule.scope})


def _caller_words(rule: Rule) -> str:
    return f"{rule.kind}:{rule.role}" if rule.role else rule.kind
