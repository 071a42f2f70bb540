"""On several nodes (Citus): nothing that a coordinator has decided is still to be committed there.

A transaction over several nodes is decided when the coordinator commits; a node may carry it out a
moment later, from what it has prepared. The coordinator's own horizon does not see that moment.
"""

import time
from typing import Any, Final

import psycopg

from service.transparency.errors import NodeBehind

HAS_CITUS: Final = "SELECT 1 FROM pg_extension WHERE extname = 'citus'"

PREPARED: Final = """
SELECT nodeid || ' ' || gid FROM run_command_on_all_nodes(
    $$SELECT coalesce(string_agg(gid, ' '), '') FROM pg_prepared_xacts$$
), unnest(string_to_array(result, ' ')) AS gid WHERE gid <> ''
"""

LOOK_EVERY_S: Final = 0.02
WAIT_AT_MOST_S: Final = 5.0


def wait_for_prepared(connection: psycopg.Connection[Any]) -> None:
    """Wait until what is prepared on any node now has ended there; on one server, not at all.

    Raises:
        NodeBehind: it takes too long; what was sealed stays as it is, and the next cycle tries.
    """
    if connection.execute(HAS_CITUS).fetchone() is None:
        return
    deadline = time.monotonic() + WAIT_AT_MOST_S
    waited_for = _prepared(connection)
    while waited_for & _prepared(connection):
        if time.monotonic() > deadline:
            raise NodeBehind("A node has kept a prepared transaction for too long.")
        time.sleep(LOOK_EVERY_S)


def _prepared(connection: psycopg.Connection[Any]) -> set[str]:
    return {row[0] for row in connection.execute(PREPARED)}
