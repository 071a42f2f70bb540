"""The blueprint of every `api.py`: reads bodies strictly, documents callers and problems."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, NoReturn, Protocol, TypeVar

import flask_smorest
from flask import Request
from marshmallow import RAISE, Schema, ValidationError, fields
from webargs.core import missing
from webargs.flaskparser import FlaskParser

from service.web import validation
from service.web.documenting import PROBLEM_SCHEMA, REPEATABLE, document_edge
from service.web.json_bodies import NOT_TEXT, is_text
from service.web.problems import MEDIA_TYPE
from service.web.refusals import DuplicateKey, ParameterFault, TextInvalid

View = TypeVar("View", bound=Callable[..., Any])


TEXT = {"type": "string"}
BYTES = {"type": "string", "format": "binary"}


class Decorator(Protocol):
    """Takes a view and gives it back with the type it had."""

    def __call__(self, view: View, /) -> View:
        """Return the view, decorated."""


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
        """Return the query's parameters: texts, each of which may be given once."""
        for name, values in req.args.lists():
            if not all(map(is_text, values)):
                raise TextInvalid(
                    "Please send text without control characters.",
                    errors=[ParameterFault(name, TextInvalid.code, NOT_TEXT)],
                )
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
        self._prepare_doc_cbks.append(document_edge)

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
        if isinstance(schema, type):
            schema = schema()  # once; webargs would make another one for each request
        decorator: Decorator = super().arguments(schema, location=location, **options)
        return decorator

    def response(
        self, status_code: int, schema: type[Schema] | Schema | None = None, **options: Any
    ) -> Decorator:
        """Answer with a status and what a schema makes of the view's result.

        Without a schema, `content_type` says what the view writes itself.
        """
        written = _written(options.get("content_type")) if schema is None else schema
        decorator: Decorator = super().response(status_code, written, **options)
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

    def repeatable(self, *, answer_is_kept: bool = True) -> Decorator:
        """Document that a view honours `Idempotency-Key`.

        Args:
            answer_is_kept: it answers by `answer_once`, so that its first answer is given again.
        """

        def declare(view: View) -> View:
            described = deepcopy(getattr(view, "_apidoc", {}))
            view._apidoc = {**described, REPEATABLE: answer_is_kept}  # type: ignore[attr-defined]  # noqa: SLF001  flask-smorest reads it
            return view

        return declare

    def doc(self, **members: Any) -> Decorator:
        """Add members to a view's OpenAPI operation."""
        decorator: Decorator = super().doc(**members)
        return decorator


def _written(content_type: str | None) -> dict[str, str] | None:
    """Return the schema of what a view writes itself in a media type."""
    if content_type is None:
        return None
    return BYTES if content_type == "application/octet-stream" else TEXT
