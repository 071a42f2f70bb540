"""On several nodes (Citus): nothing that has ended on the coordinator is still to end elsewhere.

A transaction of one node is committed there before the coordinator commits, unless the answer was
lost; one of several nodes is decided by the coordinator, and a node may carry it out a moment
later, from what it has prepared. The coordinator's horizon sees neither moment.
"""

import time
from typing import Any, Final

import psycopg

from service.transparency.errors import NodeBehind

HAS_CITUS: Final = "SELECT 1 FROM pg_extension WHERE extname = 'citus'"

# Each running or prepared transaction that has written holds a lock on its own number.
IN_PROGRESS: Final = """
SELECT nodeid || ' ' || xid FROM run_command_on_all_nodes(
    $$SELECT coalesce(string_agg(transactionid::text, ' '), '') FROM pg_locks
      WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted$$
), unnest(string_to_array(result, ' ')) AS xid
"""

LOOK_EVERY_S: Final = 0.02
WAIT_AT_MOST_S: Final = 5.0


def wait_for_nodes(connection: psycopg.Connection[Any]) -> None:
    """Wait until what is in progress on any node now has ended there; on one server, not at all.

    Raises:
        NodeBehind: it takes too long; what was sealed stays as it is, and the next cycle tries.
    """
    if connection.execute(HAS_CITUS).fetchone() is None:
        return
    deadline = time.monotonic() + WAIT_AT_MOST_S
    waited_for = _in_progress(connection)
    while waited_for & _in_progress(connection):
        if time.monotonic() > deadline:
            raise NodeBehind("A transaction on one of the nodes takes too long.")
        time.sleep(LOOK_EVERY_S)


def _in_progress(connection: psycopg.Connection[Any]) -> set[str]:
    return {row[0] for row in connection.execute(IN_PROGRESS)}
