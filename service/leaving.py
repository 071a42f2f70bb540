"""What a citizen's leaving brings about in every package, composed; and again after a restore."""

from collections.abc import Callable
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from service.activities.withdrawal import CONSEQUENCES as OF_ACTIVITIES
from service.identity.consequences import Consequences
from service.identity.erasure import begin_erasure, complete_erasure
from service.runtime import Runtime
from service.settings import Settings
from service.transparency.events import write_erasure
from service.transparency.outside import Outside

NOT_ERASED: Final = """
SELECT citizen_id FROM citizen WHERE citizen_id = ANY(%s) AND state <> 'erased'
"""


def consequences(settings: Callable[[], Settings]) -> Consequences:
    """Return what every package does when a citizen withdraws a consent or leaves.

    Args:
        settings: asked when somebody leaves; a command line reads them only then.
    """

    def log_erasure(session: Session, citizen_id: UUID) -> None:
        write_erasure(session, citizen_id, Outside(settings().outside))

    return Consequences(
        link_ended=OF_ACTIVITIES.link_ended,
        # Last: what is kept outside the database cannot be taken back.
        citizen_left=(*OF_ACTIVITIES.citizen_left, log_erasure),
    )


def erase_again(runtime: Runtime) -> int:
    """Erase those whom a restored database has brought back; return how many.

    Raises:
        OutsideUnusable: the list of the erased cannot be read, so nothing may be served.
    """
    brought_back = _brought_back(runtime)
    for citizen_id in brought_back:
        with runtime.database.transaction() as session:
            begin_erasure(
                session, citizen_id, "command_line", consequences(lambda: runtime.settings)
            )
        with runtime.eraser.raw_transaction() as connection:
            complete_erasure(connection, citizen_id)
    return len(brought_back)


def _brought_back(runtime: Runtime) -> list[UUID]:
    erased = Outside(runtime.settings.outside).erased()
    if not erased:
        return []
    with runtime.database.raw_transaction() as connection:
        return [row[0] for row in connection.execute(NOT_ERASED, [erased])]
