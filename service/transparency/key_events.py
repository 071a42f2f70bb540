"""What the log itself says of its keys: since when each one signs, and until when it did."""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

import psycopg

from service.transparency.errors import LogKeysMissing
from service.transparency.events import EventKind, write_event
from service.transparency.keys import LogKeys

LOGGED: Final = """
SELECT content::json ->> 'vkey', min(recorded_at) FILTER (WHERE kind = 'key_added'),
       min(recorded_at) FILTER (WHERE kind = 'key_retired')
FROM log_event WHERE kind IN ('key_added', 'key_retired') GROUP BY 1 ORDER BY 2, 1
"""


class LoggedKey(NamedTuple):
    """A public key of the log, and from when to when it signed."""

    vkey: str
    added_at: datetime
    retired_at: datetime | None


def write_key_events(connection: psycopg.Connection[Any], keys: LogKeys, origin: str) -> None:
    """Let the log say of each key what it does not yet say."""
    for key in keys.keys:
        vkey = key.verifier(origin).vkey
        _write_once(connection, "key_added", vkey)
        if key.retired_at:
            _write_once(connection, "key_retired", vkey)


def logged_keys(connection: psycopg.Connection[Any]) -> list[LoggedKey]:
    """Return the log's keys, the oldest first."""
    return [LoggedKey._make(row) for row in connection.execute(LOGGED)]


def require_known(connection: psycopg.Connection[Any], keys: LogKeys, origin: str) -> None:
    """Refuse keys none of which the log knows, once it knows any: a key takes over from another.

    Otherwise a lost file, or another machine, would begin to sign with a key that nobody trusts.

    Raises:
        LogKeysMissing: the file with the log's keys is not here.
    """
    logged = {each.vkey for each in logged_keys(connection)}
    if logged and logged.isdisjoint(each.verifier(origin).vkey for each in keys.keys):
        raise LogKeysMissing(
            "None of the log's keys is in {path}. Please put the file back from its backup.",
            path=str(keys.path),
        )


def _write_once(connection: psycopg.Connection[Any], kind: EventKind, vkey: str) -> None:
    write_event(connection, kind, {"vkey": vkey}, uuid5(NAMESPACE_URL, f"{kind} {vkey}"))
