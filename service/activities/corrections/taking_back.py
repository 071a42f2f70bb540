"""Taking an activity back: it counts no more, and what it gave leaves the books."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg

from service.activities.certification.pending import (
    FREE_CLAIMS,
    NextVerdict,
    Waiting,
    take_out,
    tell,
)
from service.bulk import array_of
from service.ledger.accounts import Accounts
from service.ledger.clawback import Claim, invalidate


class Standing(NamedTuple):
    """An activity and the verdict that holds; ids in hexadecimal."""

    citizen_id: str
    activity_id: str
    verdict: str

    @property
    def was_issued(self) -> bool:
        """Whether it was certified, and perhaps invalidated since: its issue stays invalidated."""
        return self.verdict in ("certified", "invalidated")


def take_back(
    connection: psycopg.Connection[Any],
    accounts: Accounts,
    acts: Sequence[Standing],
    otherwise: NextVerdict,
) -> None:
    """Let activities count no more, and invalidate what those that were certified gave.

    What waited waits no more, wherever it was; what could count only once is free again.

    Args:
        connection: inside the caller's transaction.
        accounts: of the citizens, locked by it.
        acts: each once.
        otherwise: the next verdict on those that were never certified; the others become, or
            stay, `invalidated` with the same code and cause.
    """
    if not acts:
        return
    invalidated = NextVerdict("invalidated", otherwise.cause_id, otherwise.code)
    each_act = [Waiting(act.citizen_id, act.activity_id) for act in acts]
    take_out(connection, each_act)
    connection.execute(
        FREE_CLAIMS,
        (array_of(each.citizen_id for each in acts), array_of(each.activity_id for each in acts)),
    )
    verdicts = (invalidated if act.was_issued else otherwise for act in acts)
    tell(connection, zip(each_act, verdicts, strict=True))
    claims = [Claim(act.citizen_id, act.activity_id) for act in acts if act.was_issued]
    invalidate(connection, accounts, claims)
