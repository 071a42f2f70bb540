"""Appeals: a citizen asks a human to look at a refusal again, and the human decides, once.

The words of an appeal may name people, so they stand in tables that an erasure empties, and never
in a verdict.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import class_row

from service.activities.appeals.upholding import certify_granted, grant
from service.activities.errors import (
    ActivityUnknown,
    AppealAlreadyDecided,
    AppealAlreadyMade,
    AppealUnknown,
    AppellantFrozen,
    NotAppealable,
)
from service.keys import KeyRing
from service.ledger.accounts import lock_account

AppealState = Literal["open", "upheld", "dismissed"]
Ruling = Literal["upheld", "dismissed"]

READ = """
SELECT p.id, p.citizen_id, p.activity_id, a.behavior, a.verdict AS first_verdict,
       a.code AS refusal, p.statement, p.recorded_at,
       coalesce(d.decision, 'open') AS state, d.statement AS answer, d.decided_by,
       d.recorded_at AS decided_at
FROM appeal p
JOIN activity a ON a.citizen_id = p.citizen_id AND a.id = p.activity_id
LEFT JOIN appeal_decision d ON d.citizen_id = p.citizen_id AND d.appeal_id = p.id
"""

READ_BY_ID = READ + "WHERE p.id = %s"

READ_BY_ACTIVITY = READ + "WHERE p.citizen_id = %s AND p.activity_id = %s"

READ_PAGE = (
    READ
    + """
WHERE (%(state)s::text IS NULL OR coalesce(d.decision, 'open') = %(state)s)
  AND (%(after)s::timestamptz IS NULL OR (p.recorded_at, p.id) > (%(after)s, %(after_id)s))
"""
)

# "Hers, or everybody's" in one statement would read everybody's: its plan is made for both.
OF_ONE_CITIZEN = "AND p.citizen_id = %(citizen_id)s\n"

IN_ORDER = "ORDER BY p.recorded_at, p.id LIMIT %(rows)s"

READ_STANDING = """
SELECT coalesce((
    SELECT v.verdict FROM verdict v
    WHERE v.citizen_id = %(citizen_id)s AND v.activity_id = a.id ORDER BY v.seq DESC LIMIT 1
), a.verdict)
FROM activity a WHERE a.citizen_id = %(citizen_id)s AND a.id = %(activity_id)s
"""

MAKE = """
INSERT INTO appeal (citizen_id, id, activity_id, statement) VALUES (%s, %s, %s, %s)
ON CONFLICT (citizen_id, activity_id) DO NOTHING RETURNING id
"""

DECIDE = """
INSERT INTO appeal_decision (citizen_id, appeal_id, decision, statement, decided_by)
VALUES (%s, %s, %s, %s, %s)
"""

REFUSE_AGAIN = """
INSERT INTO verdict (citizen_id, activity_id, seq, verdict, code, cause_id)
SELECT %(citizen_id)s, %(activity_id)s, 1 + count(*), 'refused', 'appeal-dismissed', %(appeal_id)s
FROM verdict WHERE citizen_id = %(citizen_id)s AND activity_id = %(activity_id)s
"""

READ_STATE = "SELECT state FROM citizen WHERE citizen_id = %s"


@dataclass(frozen=True, slots=True)
class AppealRecord:
    """An appeal and, once it is decided, the answer."""

    id: UUID
    citizen_id: UUID
    activity_id: UUID
    behavior: str
    first_verdict: str
    refusal: str | None
    """The activity's first code."""
    statement: str
    recorded_at: datetime
    state: AppealState
    answer: str | None
    decided_by: UUID | None
    decided_at: datetime | None

    @property
    def position(self) -> list[str | int]:
        """Where a list that is cut after this appeal goes on."""
        return [self.recorded_at.isoformat(), self.id.hex]


def make_appeal(
    connection: psycopg.Connection[Any], citizen_id: UUID, activity_id: UUID, statement: str
) -> tuple[AppealRecord, bool]:
    """Ask for a refusal to be looked at again.

    Returns:
        The appeal, and whether it is new: the same words again are the same appeal.

    Raises:
        ActivityUnknown: she has no such activity.
        AppealAlreadyMade: with other words.
        NotAppealable: the activity is not refused.
    """
    made = appeal_of(connection, citizen_id, activity_id)
    if made is not None:
        return _same(made, statement), False
    _require_refused(connection, citizen_id, activity_id)
    new = connection.execute(MAKE, (citizen_id, uuid4(), activity_id, statement)).fetchone()
    made = appeal_of(connection, citizen_id, activity_id)
    assert made is not None  # noqa: S101  written above, now or by another request
    return _same(made, statement), new is not None


def appeal_of(
    connection: psycopg.Connection[Any], citizen_id: UUID, activity_id: UUID
) -> AppealRecord | None:
    """Return the appeal against the refusal of an activity, if she made one."""
    with connection.cursor(row_factory=class_row(AppealRecord)) as cursor:
        return cursor.execute(READ_BY_ACTIVITY, (citizen_id, activity_id)).fetchone()


def appeals(
    connection: psycopg.Connection[Any],
    after: list[str | int] | None,
    rows: int,
    *,
    citizen_id: UUID | None = None,
    state: AppealState | None = None,
) -> list[AppealRecord]:
    """Return appeals, the oldest first: one citizen's, or everybody's."""
    moment, appeal_id = after or (None, None)
    terms = {
        "citizen_id": citizen_id,
        "state": state,
        "after": moment,
        "after_id": appeal_id,
        "rows": rows,
    }
    whose = "" if citizen_id is None else OF_ONE_CITIZEN
    with connection.cursor(row_factory=class_row(AppealRecord)) as cursor:
        return cursor.execute(READ_PAGE + whose + IN_ORDER, terms).fetchall()


def decide_appeal(
    connection: psycopg.Connection[Any],
    keys: KeyRing,
    default_region: str,
    appeal_id: UUID,
    ruling: Ruling,
    statement: str,
    operator_id: UUID,
) -> tuple[AppealRecord, bool]:
    """Decide an appeal, once; an upheld one certifies the activity and issues its points.

    Args:
        connection: inside the entry point's transaction.
        keys: for the digest of what may count only once.
        default_region: of acts whose source names none.
        appeal_id: an operator may look at everybody's.
        ruling: what was decided.
        statement: why; the citizen reads it.
        operator_id: who decides.

    Returns:
        The decided appeal, and whether the decision is new.

    Raises:
        AppealUnknown: there is no such appeal.
        AppealAlreadyDecided: on other terms, or by somebody else.
        AppellantFrozen, NotAppealable: the account or the activity does not allow it now; what
            its source has corrected meanwhile can only be dismissed.
        NothingToCertify, OverlapStands, RuleStands: it cannot be upheld.
    """
    citizen_id = _appeal(connection, appeal_id).citizen_id
    accounts = lock_account(connection, citizen_id)
    appeal = _appeal(connection, appeal_id)
    if appeal.state != "open":
        return _same_ruling(appeal, ruling, statement, operator_id), False
    granted = None
    if ruling == "upheld":
        _require_refused(connection, citizen_id, appeal.activity_id)
        _require_active(connection, citizen_id)
        granted = grant(connection, keys, default_region, citizen_id, appeal.activity_id)
    connection.execute(DECIDE, (citizen_id, appeal_id, ruling, statement, operator_id))
    if granted is not None:
        certify_granted(connection, accounts, granted, appeal.id)
    elif _standing(connection, citizen_id, appeal.activity_id) == "refused":
        _refuse_again(connection, appeal)
    return _appeal(connection, appeal_id), True


def _refuse_again(connection: psycopg.Connection[Any], appeal: AppealRecord) -> None:
    connection.execute(
        REFUSE_AGAIN,
        {
            "citizen_id": appeal.citizen_id,
            "activity_id": appeal.activity_id,
            "appeal_id": appeal.id,
        },
    )


def _appeal(connection: psycopg.Connection[Any], appeal_id: UUID) -> AppealRecord:
    with connection.cursor(row_factory=class_row(AppealRecord)) as cursor:
        found = cursor.execute(READ_BY_ID, [appeal_id]).fetchone()
    if found is None:
        raise AppealUnknown("There is no such appeal.")
    return found


def _same(made: AppealRecord, statement: str) -> AppealRecord:
    if made.statement != statement:
        raise AppealAlreadyMade("You have appealed this refusal before. It can be appealed once.")
    return made


def _same_ruling(
    appeal: AppealRecord, ruling: Ruling, statement: str, operator_id: UUID
) -> AppealRecord:
    if (appeal.state, appeal.answer, appeal.decided_by) != (ruling, statement, operator_id):
        raise AppealAlreadyDecided(
            "This appeal has been {decision} before. An appeal is decided once.",
            decision=appeal.state,
        )
    return appeal


def _require_refused(
    connection: psycopg.Connection[Any], citizen_id: UUID, activity_id: UUID
) -> None:
    standing = _standing(connection, citizen_id, activity_id)
    if standing != "refused":
        raise NotAppealable(
            "This activity is {verdict}. Only a refusal can be appealed.", verdict=standing
        )


def _standing(connection: psycopg.Connection[Any], citizen_id: UUID, activity_id: UUID) -> str:
    """Return the verdict that holds."""
    asked = {"citizen_id": citizen_id, "activity_id": activity_id}
    found = connection.execute(READ_STANDING, asked).fetchone()
    if found is None:
        raise ActivityUnknown("There is no such activity, or it is not yours to see.")
    standing: str = found[0]
    return standing


def _require_active(connection: psycopg.Connection[Any], citizen_id: UUID) -> None:
    found = connection.execute(READ_STATE, [citizen_id]).fetchone()
    if found is None or found[0] != "active":
        raise AppellantFrozen(
            "The citizen's account is frozen, and a frozen account earns nothing. Please decide"
            " once it is released."
        )
