"""`Idempotency-Key`: a request that is sent again gets its first answer and has no second effect.

The key, a digest of the request and the answer are written in the same transaction as the effect.
A request that is refused leaves nothing, so that sending it again tries again. What staff say of a
citizen is kept nowhere here: her erasure would not reach an answer that is stored under their name.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from flask import Response, request
from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service import clock
from service.web.access import current_caller
from service.web.models import IdempotencyKey
from service.web.refusals import (
    IdempotencyKeyMalformed,
    IdempotencyKeyReused,
    RequestInProgress,
)

HEADER = "Idempotency-Key"
KEPT_FOR = timedelta(days=30)

Answer = tuple[int, Mapping[str, Any]]

KEY_LENGTH_MAX = 255

# Short keys are good: a key is looked up under its caller and route, so it need not be rare.
_BARE = re.compile(rf"(?!\")[\x21-\x7e]{{1,{KEY_LENGTH_MAX}}}")
_QUOTED = re.compile(rf'"([\x20\x21\x23-\x5b\x5d-\x7e]{{1,{KEY_LENGTH_MAX}}})"')


def answer_once(session: Session, effect: Callable[[], Answer]) -> Response:
    """Carry out the present request, or give the first answer if it was carried out before.

    Args:
        session: the request's transaction; the answer is stored in it.
        effect: does the work in the same transaction; returns a 2xx status and a JSON body.

    Raises:
        IdempotencyKeyMalformed: the key is not 1 to 255 visible ASCII characters, bare or quoted.
        IdempotencyKeyReused: the key came before with another path or body.
        RequestInProgress: the same key is being worked on at this moment.
    """
    key = requested_key()
    if key is None:
        return _response(*_dumped(effect()))
    _lock(session, key)
    first = _first_answer(session, key)
    if first is not None:
        return _replayed(first)
    status, body = _dumped(effect())
    _keep(session, key, status, body)
    return _response(status, body)


def answer_anew(effect: Callable[[], Answer]) -> Response:
    """Carry out the present request, which by its own terms has one effect, and keep no answer.

    A key is accepted and does nothing: with or without it the request may be sent again.

    Args:
        effect: as for `answer_once`; done again, it answers from what was done first.

    Raises:
        IdempotencyKeyMalformed: as `answer_once`.
    """
    requested_key()
    return _response(*_dumped(effect()))


def requested_key() -> str | None:
    """Return the request's key, or None when it has none."""
    header = request.headers.get(HEADER)
    if header is None:
        return None
    quoted = _QUOTED.fullmatch(header.strip())
    if quoted:
        return quoted[1]
    if _BARE.fullmatch(header.strip()):
        return header.strip()
    raise IdempotencyKeyMalformed(
        "Please send 1 to 255 visible ASCII characters as the Idempotency-Key, such as a UUID."
    )


def forget_old_answers(session: Session) -> int:
    """Delete answers older than thirty days and return how many there were."""
    old = IdempotencyKey.recorded_at < clock.now() - KEPT_FOR
    forgotten = session.scalars(
        delete(IdempotencyKey).where(old).returning(IdempotencyKey.principal_id)
    )
    return len(forgotten.all())


def _lock(session: Session, key: str) -> None:
    """Let one request work under a key; a second one is told at once, and does not queue up."""
    name = f"{current_caller().id} {operation()} {key}"
    mine = session.scalar(
        select(func.pg_try_advisory_xact_lock(func.hashtextextended(name, text("0"))))
    )
    if not mine:
        raise in_progress()


def in_progress() -> RequestInProgress:
    """Return the refusal of a request that is being carried out at this moment."""
    return RequestInProgress(
        "The first of these requests has not ended yet. Please ask again shortly.", retry_after_s=1
    )


def _first_answer(session: Session, key: str) -> IdempotencyKey | None:
    return session.get(IdempotencyKey, (current_caller().id, operation(), key))


def _replayed(first: IdempotencyKey) -> Response:
    if first.fingerprint != fingerprint():
        raise reused()
    response = _response(first.status, first.body)
    response.headers["Idempotent-Replayed"] = "true"
    return response


def reused() -> IdempotencyKeyReused:
    """Return the refusal of a key that belongs to another request."""
    return IdempotencyKeyReused(
        "This Idempotency-Key belongs to another request. Please choose a new key."
    )


def _keep(session: Session, key: str, status: int, body: str) -> None:
    kept = session.scalar(
        insert(IdempotencyKey)
        .values(
            principal_id=current_caller().id,
            operation=operation(),
            key=key,
            fingerprint=fingerprint(),
            status=status,
            body=body,
        )
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    )
    if kept is None:
        # Advisory locks are one server's; where several coordinate, the primary key decides.
        raise in_progress()


def operation() -> str:
    """Return under which name the present request's key is looked up."""
    return f"{request.method} {request.url_rule}"


def fingerprint() -> bytes:
    """Return the digest by which the present request is known from another."""
    body = request.get_json() if request.mimetype == "application/json" else None
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(f"{request.path}\n{canonical}".encode()).digest()


def _dumped(answer: Answer) -> tuple[int, str]:
    status, body = answer
    return status, json.dumps(body, ensure_ascii=False)


def _response(status: int, body: str) -> Response:
    return Response(body, status=status, mimetype="application/json")
