"""Answers given once to requests that move value: as `idempotency`, with two differences.

Statements gather (`service.pipelining`): the question whether the key came before travels with the
request's own first questions. And a refusal is an answer too: under the same key it stays refused.
"""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

import psycopg
from flask import Response

from service.db import Database
from service.errors import Conflict, DomainError, Forbidden, Invalid
from service.pipelining import Connection
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
from service.web.refusals import IdempotencyKeyMissing, RequestInProgress

LOCK: Final = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"

FIND: Final = """
SELECT fingerprint, status, body FROM idempotency_key
WHERE principal_id = %s AND operation = %s AND key = %s
"""

KEEP: Final = """
INSERT INTO idempotency_key (principal_id, operation, key, fingerprint, status, body)
VALUES (%s, %s, %s, %s, %s, %s)
"""

KEEP_IF_FIRST: Final = f"{KEEP} ON CONFLICT DO NOTHING"

PRIMARY_KEY: Final = "pk_idempotency_key"
STAYS: Final = (Conflict, Forbidden, Invalid)
"""Kinds of refusal that are verdicts; others say that it may be tried again."""

Begun = Callable[[], Answer]
"""Reads what was asked, decides, writes, and returns status and body."""
Begin = Callable[[Connection], Begun]
"""Asks a request's first questions without waiting for an answer."""
RefusalOf = Callable[[psycopg.errors.IntegrityError], DomainError | None]
"""From a constraint that refused to what the caller is told; None: it is our fault."""


def answer_once_gathered(begin: Begin, refusal_of: RefusalOf) -> Response:
    """Carry out the present request, or give the first answer if it was carried out before.

    The answer, or the refusal, is kept with the caller's `Idempotency-Key` for thirty days.

    Args:
        begin: the request's work in its two halves, inside one gathered transaction.
        refusal_of: what the constraints mean that may refuse.

    Raises:
        IdempotencyKeyMissing: this request needs one.
        IdempotencyKeyMalformed, IdempotencyKeyReused, RequestInProgress: as `answer_once`.
    """
    once = _Once(runtime().database)
    try:
        return once.answer(begin)
    except psycopg.errors.IntegrityError as error:
        if error.diag.constraint_name == PRIMARY_KEY:
            # Advisory locks are one server's; where several coordinate, the primary key decides.
            raise in_progress() from error
        refusal = refusal_of(error)
        if refusal is None:
            raise
        raise once.refused(refusal) from error
    except STAYS as refusal:
        raise once.refused(refusal) from None


class _Once:
    """One request under its key."""

    def __init__(self, database: Database) -> None:
        self._database = database
        key = requested_key()
        if key is None:
            raise IdempotencyKeyMissing(
                "This moves value: please send an {header}, such as a new UUID for each wish.",
                header=HEADER,
            )
        self._place = (current_caller().id, operation(), key)
        self._fingerprint = fingerprint()

    def answer(self, begin: Begin) -> Response:
        with self._open() as connection:
            locked = connection.execute(LOCK, (" ".join(map(str, self._place)),))
            found = connection.execute(FIND, self._place)
            act = begin(connection)
            row = locked.fetchone()
            first = found.fetchone()
            if first is not None:
                return self._replayed(*first)
            if row is None or not row[0]:
                raise in_progress()
            status, body = act()
            text = json.dumps(body, ensure_ascii=False)
            connection.execute(KEEP, (*self._place, self._fingerprint, status, text))
        return _response(status, text)

    def refused(self, refusal: DomainError) -> DomainError:
        """Keep a verdict, in the words in which it is given now."""
        if not isinstance(refusal, RequestInProgress) and not _is_of_the_key(refusal):
            document = problem_response(refusal)
            text = document.get_data(as_text=True)
            with self._open() as connection:
                connection.execute(
                    KEEP_IF_FIRST, (*self._place, self._fingerprint, document.status_code, text)
                )
        return refusal

    def _open(self) -> AbstractContextManager[Connection]:
        return self._database.pipelined_transaction()

    def _replayed(self, first: bytes, status: int, body: str) -> Response:
        if first != self._fingerprint:
            raise reused()
        response = _response(status, body)
        response.headers["Idempotent-Replayed"] = "true"
        return response


def _is_of_the_key(refusal: DomainError) -> bool:
    return refusal.code.startswith("idempotency-key")


def _response(status: int, text: str) -> Response:
    is_refusal = status >= 400  # noqa: PLR2004  HTTP's own line between the two
    return Response(text, status=status, mimetype=MEDIA_TYPE if is_refusal else "application/json")
