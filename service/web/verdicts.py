"""Answers given once to requests that move value: as `idempotency`, with two differences.

Statements gather (`service.pipelining`), and whether a key came before is found out when the answer
is kept, not asked. And a refusal is an answer too: under the same key it stays refused.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

import msgspec
import psycopg
from flask import Response

from service.db import Database
from service.errors import Conflict, DomainError, Forbidden, Invalid
from service.pipelining import Connection
from service.retries import retried
from service.web.access import current_caller
from service.web.context import runtime
from service.web.idempotency import (
    HEADER,
    Answer,
    fingerprint,
    in_progress,
    operation,
    requested_key,
    reused,
)
from service.web.problems import MEDIA_TYPE, problem_response
from service.web.refusals import IdempotencyKeyMissing

FIND: Final = """
SELECT fingerprint, status, body FROM idempotency_key
WHERE principal_id = %s AND operation = %s AND key = %s
"""

KEEP: Final = """
INSERT INTO idempotency_key (principal_id, operation, key, fingerprint, status, body)
VALUES (%s, %s, %s, %s, %s, %s)
"""

KEEP_IF_FIRST: Final = f"{KEEP} ON CONFLICT DO NOTHING RETURNING true"

PRIMARY_KEY: Final = "pk_idempotency_key"
STAYS: Final = (Conflict, Forbidden, Invalid)
"""Kinds of refusal that are verdicts; others say that it may be tried again."""

Begun = Callable[[], Answer]
"""Reads what was asked, decides, writes, and returns status and body."""
Begin = Callable[[Connection], Begun]
"""Asks a request's first questions without waiting for an answer."""
RefusalOf = Callable[[psycopg.errors.IntegrityError], DomainError | None]
"""From a constraint that refused to what the caller is told; None: it is our fault."""


def answer_once_gathered(
    begin: Begin, refusal_of: RefusalOf, *, needs_key: bool = True
) -> Response:
    """Carry out the present request, or give the first answer if it was carried out before.

    The answer, or the refusal, is kept with the caller's `Idempotency-Key` for thirty days. Of
    requests that come at once under one key, the primary key lets one be first; the others wait for
    it and give its answer.

    Args:
        begin: the request's work in its two halves, inside one gathered transaction.
        refusal_of: what the constraints mean that may refuse.
        needs_key: whether the request moves value; what moves none may come without a key.

    Raises:
        IdempotencyKeyMissing: this request needs one.
        IdempotencyKeyMalformed, IdempotencyKeyReused: as `answer_once`.
    """
    key = requested_key()
    if key is None and needs_key:
        raise IdempotencyKeyMissing(
            "This moves value: please send an {header}, such as a new UUID for each wish.",
            header=HEADER,
        )
    database = runtime().database
    if key is None:
        return _answered(database, begin, refusal_of)
    return _Once(database, key).answer(begin, refusal_of)


def _answered(database: Database, begin: Begin, refusal_of: RefusalOf) -> Response:
    """Carry a request out, and keep nothing of it."""

    def once() -> Answer:
        with database.pipelined_transaction() as connection:
            return begin(connection)()

    try:
        status, body = retried(once)
    except psycopg.errors.IntegrityError as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        raise refusal from error
    return _response(status, _text_of(body))


class _Once:
    """One request under its key."""

    def __init__(self, database: Database, key: str) -> None:
        self._database = database
        self._place = (current_caller().id, operation(), key)
        self._fingerprint = fingerprint()

    def answer(self, begin: Begin, refusal_of: RefusalOf) -> Response:
        """Answer as if it were the first time; whether it was, the primary key says at the end.

        So a first request, which nearly all are, asks nothing. What a repeated one has done is
        undone with its transaction.
        """
        try:
            return retried(lambda: self._done(begin))
        except psycopg.errors.IntegrityError as error:
            if error.diag.constraint_name == PRIMARY_KEY:
                return self._first() or self._in_progress()
            refusal = refusal_of(error)
            if refusal is None:
                first = self._first()
                if first is None:
                    raise
                return first
            return self._refused(refusal)
        except STAYS as refusal:
            return self._refused(refusal)
        except DomainError:
            first = self._first()
            if first is None:
                raise
            return first

    def _done(self, begin: Begin) -> Response:
        with self._database.pipelined_transaction() as connection:
            status, body = begin(connection)()
            text = _text_of(body)
            connection.execute(KEEP, (*self._place, self._fingerprint, status, text))
        return _response(status, text)

    def _refused(self, refusal: DomainError) -> Response:
        """Keep a verdict, in the words in which it is given now; the first one stands."""
        answer = problem_response(refusal)
        text = answer.get_data(as_text=True)
        with self._database.pipelined_transaction() as connection:
            kept = connection.execute(
                KEEP_IF_FIRST, (*self._place, self._fingerprint, answer.status_code, text)
            )
            is_first = kept.fetchone() is not None
        return answer if is_first else self._first() or self._in_progress()

    def _first(self) -> Response | None:
        """Return the answer of the request that was first under this key; None: none was.

        Raises:
            IdempotencyKeyReused: it was another request.
        """
        with self._database.pipelined_transaction() as connection:
            first = connection.execute(FIND, self._place).fetchone()
        return None if first is None else self._replayed(*first)

    def _in_progress(self) -> NoReturn:
        raise in_progress()

    def _replayed(self, first: bytes, status: int, body: str) -> Response:
        if first != self._fingerprint:
            raise reused()
        response = _response(status, body)
        response.headers["Idempotent-Replayed"] = "true"
        response.headers["Cache-Control"] = "no-store"
        return response


def _text_of(body: Mapping[str, Any]) -> str:
    return msgspec.json.encode(body).decode()


def _response(status: int, text: str) -> Response:
    is_refusal = status >= 400  # noqa: PLR2004  HTTP's own line between the two
    return Response(text, status=status, mimetype=MEDIA_TYPE if is_refusal else "application/json")
