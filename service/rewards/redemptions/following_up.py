"""What follows from a partner's answer, and from its silence: a step, or another question later.

Every question is a row in `inquiry`, and the step that follows from it names it as its evidence.
Silence never gives anything back, however long it lasts; after some working days people look.
"""

from datetime import datetime
from typing import Any, Final

import msgspec
import psycopg

from service import clock
from service.errors import DomainError
from service.rewards.offers.catalogue import terms_of
from service.rewards.redemptions.capturing import capture_redemption, repeated_capture
from service.rewards.redemptions.deadlines import after_business_days, next_inquiry
from service.rewards.redemptions.ending import decline, expire, void
from service.rewards.redemptions.partner_answers import PartnerAnswer, contradictory
from service.rewards.redemptions.steps import SERVICE, Record, Redemption, Written, take

NOTE: Final = """
INSERT INTO inquiry (redemption_id, no, answer, body, recorded_at) VALUES (%s, %s, %s, %s, %s)
"""

# Nothing that a partner sees of it changes, so this is no step and has no event.
ASK_AGAIN: Final = """
UPDATE redemption SET asked = %s, deadline_at = %s, needs_human = %s WHERE id = %s
"""

UNKNOWN_SINCE: Final = """
SELECT recorded_at FROM redemption_record WHERE redemption_id = %s AND kind = 'unknown'
"""


def follow_up(
    connection: psycopg.Connection[Any], redemption: Redemption, answer: PartnerAnswer
) -> Written | None:
    """Do what an answer means for a redemption; None: it is asked about again.

    Args:
        connection: inside the caller's transaction.
        redemption: locked by it; submitted or unknown.
        answer: what its partner said, or did not say.
    """
    asked = redemption._replace(asked=redemption.asked + 1)
    try:
        with connection.transaction():  # what does not fit leaves nothing behind
            written = _decided(connection, asked, answer)
    except (DomainError, psycopg.errors.UniqueViolation) as error:
        written, answer = None, contradictory(answer.body, _code_of(error))
    if written is None:
        written = _left_open(connection, asked, answer)
    body = msgspec.json.encode(answer.body).decode()
    now = clock.now()
    connection.execute(NOTE, (redemption.id, asked.asked, answer.verdict, body, now))
    return written


def _decided(
    connection: psycopg.Connection[Any], redemption: Redemption, answer: PartnerAnswer
) -> Written | None:
    evidence = {"evidence": _evidence(redemption, answer)}
    match answer.verdict:
        case "none" if redemption.state == "submitted":
            return expire(connection, redemption, SERVICE, evidence)
        case "none" | "voided":
            return void(connection, redemption, SERVICE, evidence)
        case "declined":
            return decline(connection, redemption, SERVICE, {"reason": answer.reason, **evidence})
        case "captured":
            return _captured(connection, redemption, answer)
    return None


def _captured(
    connection: psycopg.Connection[Any], redemption: Redemption, answer: PartnerAnswer
) -> Written:
    assert answer.wish is not None  # noqa: S101  it is what makes the answer a capture
    repeated_capture(connection, redemption, answer.wish)  # or it is another redemption's
    evidence = _evidence(redemption, answer)
    return capture_redemption(connection, redemption, answer.wish, SERVICE, evidence)


def _left_open(
    connection: psycopg.Connection[Any], redemption: Redemption, answer: PartnerAnswer
) -> Written | None:
    """Ask again later; what was submitted is unknown from now on."""
    now = clock.now()
    deadline_at = next_inquiry(now, redemption.asked - 1)
    if redemption.state == "submitted":
        unknown = redemption._replace(state="unknown", deadline_at=deadline_at)
        body = {"evidence": _evidence(redemption, answer)}
        return take(connection, unknown, Record("unknown", SERVICE, body=body))
    needs_human = redemption.needs_human or _is_overdue(connection, redemption, now)
    connection.execute(ASK_AGAIN, (redemption.asked, deadline_at, needs_human, redemption.id))
    return None


def _is_overdue(connection: psycopg.Connection[Any], redemption: Redemption, now: datetime) -> bool:
    """Say whether nobody has known for so many working days that people have to look."""
    since = connection.execute(UNKNOWN_SINCE, (redemption.id,)).fetchone()
    assert since is not None  # noqa: S101  its state says that it became unknown
    terms = terms_of(connection, redemption.offer_id, redemption.offer_version)
    return now >= after_business_days(since[0], terms.timers.unknown_business_days)


def _evidence(redemption: Redemption, answer: PartnerAnswer) -> dict[str, Any]:
    return {"inquiry": redemption.asked, "answer": answer.verdict}


def _code_of(error: DomainError | psycopg.Error) -> str:
    return error.code if isinstance(error, DomainError) else "partner-reference-reused"
