"""What pending activities become when a consent ends or a citizen leaves.

Certified ones stay: they were issued while the consent held. Details and the words of appeals are
deleted by identity's erasure, which empties every table that the eraser may delete from.
"""

from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy.orm import Session

from service.activities.certification.pending import NextVerdict, Waiting, free_claims, leave
from service.db import driver_connection
from service.identity.consequences import Consequences, EndedLink
from service.ledger.accounts import lock_accounts

READ_ALL = """
SELECT replace(citizen_id::text, '-', ''), replace(activity_id::text, '-', '')
FROM pending_activity WHERE citizen_id = %s
"""

READ_OF_ACCOUNT = """
SELECT replace(p.citizen_id::text, '-', ''), replace(p.activity_id::text, '-', '')
FROM pending_activity p
JOIN activity_detail d ON d.citizen_id = p.citizen_id AND d.activity_id = p.activity_id
WHERE p.citizen_id = %s AND p.source_id = %s AND d.account_digest = %s
"""


def withdraw_pending(session: Session, ended: EndedLink) -> None:
    """Withdraw what waits for certification under a link that has just ended."""
    connection = driver_connection(session)
    lock_accounts(connection, [ended.citizen_id.hex])
    account = (ended.citizen_id, ended.source_id, ended.account_digest)
    waiting = [Waiting(*row) for row in connection.execute(READ_OF_ACCOUNT, account)]
    _end(connection, waiting, NextVerdict("withdrawn", ended.link_id, "source-link-ended"))


def forget_pending(session: Session, citizen_id: UUID) -> None:
    """Let nothing of a citizen who leaves wait for certification any longer."""
    connection = driver_connection(session)
    lock_accounts(connection, [citizen_id.hex])
    waiting = [Waiting(*row) for row in connection.execute(READ_ALL, [citizen_id])]
    _end(connection, waiting, NextVerdict("erased", None, "erased"))


def _end(connection: psycopg.Connection[Any], waiting: list[Waiting], verdict: NextVerdict) -> None:
    free_claims(connection, leave(connection, waiting, verdict))


CONSEQUENCES = Consequences(link_ended=(withdraw_pending,), citizen_left=(forget_pending,))
"""What composers hand to identity."""
