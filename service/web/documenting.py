"""What the OpenAPI document says of an operation that its view does not say itself.

Headers that the edge honours, and codes with which the edge refuses before the view is asked.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from service.web.access import Rule, is_public
from service.web.idempotency import HEADER, KEY_LENGTH_MAX
from service.web.problems import MEDIA_TYPE

PROBLEM_SCHEMA: Final = {"$ref": "#/components/schemas/Problem"}
REPEATABLE: Final = "repeatable"
"""Name in a view's `_apidoc`: it honours the key; its value: the first answer is kept."""

ACCEPT_LANGUAGE: Final = {
    "in": "header",
    "name": "Accept-Language",
    "required": False,
    "schema": {"type": "string"},
    "description": "Of the sentences in the answer: `zh` or `en`. Without it, English.",
}
IDEMPOTENCY_KEY: Final = {
    "in": "header",
    "name": HEADER,
    "required": False,
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": KEY_LENGTH_MAX,
        "pattern": r"^[\x21-\x7e]+$",
    },
    "description": "One caller's, for one route; bare, or as a quoted string (RFC 9651). The same "
    "request sent again under it has no second effect.",
}

_READING_A_BODY: Final = {
    "400": ("json-malformed", "unknown-field"),
    "413": ("body-too-large",),
    "415": ("media-type-unsupported", "content-encoding-unsupported"),
    "422": (
        "duplicate-key",
        "json-too-deep",
        "number-out-of-range",
        "text-invalid",
        "validation-failed",
    ),
}
_READING_A_QUERY: Final = {
    "400": ("unknown-field",),
    "422": ("duplicate-key", "text-invalid", "validation-failed"),
}
_CALLING: Final = {
    "401": ("token-missing", "token-invalid", "token-expired"),
    "403": ("role-missing",),
}
_CALLING_IF_ANYBODY: Final = {"401": ("token-invalid", "token-expired")}
_SENDING_A_KEY: Final = {"400": ("idempotency-key-malformed",)}
_KEEPING_ANSWERS: Final = {"409": ("request-in-progress",), "422": ("idempotency-key-reused",)}


def document_edge(doc: dict[str, Any], doc_info: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Complete an operation: who may call it, its headers, and how the edge refuses."""
    rules: tuple[Rule, ...] = doc_info.get("access", ())
    doc["security"] = _security(rules)
    doc["x-callers"] = [_caller_words(rule) for rule in rules]
    manual = doc_info.get("manual_doc", {})  # its lists would take the place of these
    doc["parameters"] = [
        *doc.get("parameters", ()),
        *manual.pop("parameters", ()),
        *_headers(doc_info),
    ]
    responses = {str(status): answer for status, answer in doc.get("responses", {}).items()}
    for refusals in _edge_refusals(doc, doc_info, rules):
        for status, codes in refusals.items():
            responses[status] = problem(_joined(responses.get(status), codes))
    responses.setdefault("default", problem("Any refusal, as a problem document"))
    doc["responses"] = responses
    return doc


def problem(description: str) -> dict[str, Any]:
    """Return the OpenAPI response object of a problem."""
    return {"description": description, "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}}}


def _headers(doc_info: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [IDEMPOTENCY_KEY, ACCEPT_LANGUAGE] if REPEATABLE in doc_info else [ACCEPT_LANGUAGE]


def _edge_refusals(
    doc: Mapping[str, Any], doc_info: Mapping[str, Any], rules: tuple[Rule, ...]
) -> Iterable[Mapping[str, tuple[str, ...]]]:
    if not is_public(rules):
        yield _CALLING
    elif len(rules) > 1:
        yield _CALLING_IF_ANYBODY
    if "application/json" in doc.get("requestBody", {}).get("content", {}):
        yield _READING_A_BODY
    if any(parameter["in"] == "query" for parameter in doc["parameters"]):
        yield _READING_A_QUERY
    if REPEATABLE in doc_info:
        yield _SENDING_A_KEY
        yield _KEEPING_ANSWERS if doc_info[REPEATABLE] else {}


def _joined(answer: Any, codes: Iterable[str]) -> str:
    """Return the codes that a view names for a status, and then the edge's."""
    named = answer["description"].split(", ") if isinstance(answer, Mapping) else []
    return ", ".join(dict.fromkeys([*named, *codes]))


def _security(rules: tuple[Rule, ...]) -> list[dict[str, list[str]]]:
    """Return what a caller has to send; an empty alternative: nothing will do as well."""
    if is_public(rules):
        return [] if len(rules) == 1 else [{}, {"accessToken": _scopes(rules)}]
    return [{"accessToken": _scopes(rules)}]


def _scopes(rules: tuple[Rule, ...]) -> list[str]:
    return sorted({rule.scope for rule in rules if rule.scope})


def _caller_words(rule: Rule) -> str:
    return f"{rule.kind}:{rule.role}" if rule.role else rule.kind
