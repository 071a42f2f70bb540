"""Long lists in pages: `limit`, an opaque `cursor`, `{"items": […], "next": …}` and `Link`.

A cursor carries the position after the last item, authenticated together with the address, the
caller and the filter it was given out for: it can be neither forged nor used for another list.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import request
from marshmallow import Schema, fields, validate

from service import base64url
from service.web.access import caller_if_any
from service.web.context import runtime
from service.web.query_values import WholeNumber
from service.web.refusals import CursorInvalid

LIMIT_DEFAULT = 50
LIMIT_MAX = 200
MAC_BYTES = 16

Item = TypeVar("Item")
Position = list[str | int]
"""What orders the list, of the last item shown: JSON texts and integers."""


class PageQuery(Schema):
    """Query parameters of every list; lists with filters inherit from it."""

    limit = WholeNumber(load_default=LIMIT_DEFAULT, validate=validate.Range(min=1, max=LIMIT_MAX))
    cursor = fields.String(
        load_default=None,
        validate=validate.Length(max=1000),
        metadata={"description": "The `next` of the page before; opaque."},
    )


def list_view(item: type[Schema]) -> type[Schema]:
    """Return the schema of a list's page."""
    members: dict[str, fields.Field[Any]] = {
        "items": fields.List(fields.Nested(item), required=True),
        "next": fields.String(
            required=True, allow_none=True, metadata={"description": "Cursor of the next page."}
        ),
    }
    return Schema.from_dict(members, name=f"{item.__name__.removesuffix('View')}ListView")


@dataclass(frozen=True, slots=True)
class Page:
    """One page that a caller asks for."""

    limit: int
    after: Position | None
    """Where the page before ended; None for the first page."""
    filters: Mapping[str, Any]

    @classmethod
    def asked(cls, query: Mapping[str, Any]) -> "Page":
        """Read a page from what `PageQuery` (or a schema that inherits from it) has loaded.

        Raises:
            CursorInvalid: the cursor was not given out for this list, caller and filter.
        """
        filters = {name: value for name, value in query.items() if name not in {"limit", "cursor"}}
        cursor = query["cursor"]
        after = None if cursor is None else _position(cursor, filters)
        return cls(query["limit"], after, filters)

    @property
    def rows_needed(self) -> int:
        """How many rows to fetch: one more than is shown, to know whether there are more."""
        return self.limit + 1

    def answer(
        self, rows: Sequence[Item], position_of: Callable[[Item], Position]
    ) -> tuple[dict[str, Any], int, dict[str, str]]:
        """Return what a view of this list returns: body, status and `Link`.

        Args:
            rows: up to `rows_needed` of them, in order.
            position_of: what `after` will be on the next page.
        """
        shown = rows[: self.limit]
        if len(rows) <= self.limit:
            return {"items": shown, "next": None}, 200, {}
        cursor = _cursor(position_of(shown[-1]), self.filters)
        return {"items": shown, "next": cursor}, 200, {"Link": _link(self.limit, cursor)}


def _cursor(position: Position, filters: Mapping[str, Any]) -> str:
    text = json.dumps(position, separators=(",", ":")).encode()
    return base64url.encoded(_mac(text, filters) + text)


def _position(cursor: str, filters: Mapping[str, Any]) -> Position:
    try:
        raw = base64url.decoded(cursor)
    except ValueError as error:
        raise _invalid() from error
    mac, text = raw[:MAC_BYTES], raw[MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(text, filters)):
        raise _invalid()
    position: Position = json.loads(text)
    return position


def _invalid() -> CursorInvalid:
    return CursorInvalid("Please take the cursor from `next`, and keep the filter as it was.")


def _mac(text: bytes, filters: Mapping[str, Any]) -> bytes:
    """Bind a position to its list: another address, caller or filter gives another digest."""
    caller = caller_if_any(request.environ)
    bound_to = [request.path, str(caller.id) if caller else "", sorted(filters.items())]
    message = json.dumps(bound_to, default=str).encode() + b"\n" + text
    return hmac.digest(runtime().keys.cursor_key, message, hashlib.sha256)[:MAC_BYTES]


def _link(limit: int, cursor: str) -> str:
    kept = [(n, v) for n, v in request.args.items() if n not in {"limit", "cursor"}]
    query = urlencode([*kept, ("limit", limit), ("cursor", cursor)])
    return f'<{request.path}?{query}>; rel="next"'
