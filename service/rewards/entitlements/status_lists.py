"""Status lists: whether an entitlement still holds, for whoever looks at many of them.

Each redemption has a place in a list when it is submitted; a list is a signed string of bits
(draft-ietf-oauth-status-list), so that looking at one tells nobody which one is looked at.
"""

import zlib
from typing import Any, Final

from service import base64url, clock
from service.documents import signed_document
from service.errors import NotFound
from service.keys import KeyRing
from service.pipelining import Connection

DOCUMENT_TYPE: Final = "statuslist+jwt"
ENTRIES: Final = 1 << 16
"""In one list: 8 KiB before it is compressed."""
TTL_S: Final = 300

# Of what was never submitted there is no document.
READ_ENDED: Final = """
SELECT status_index FROM redemption
WHERE status_index >= %s AND status_index < %s
  AND state IN ('declined', 'voided', 'expired', 'reversed')
"""

READ_LAST: Final = "SELECT max(status_index) FROM redemption WHERE status_index IS NOT NULL"


class StatusListUnknown(NotFound):
    """There is no such status list."""

    code = "status-list-unknown"


def status_claim(issuer: str, status_index: int) -> dict[str, Any]:
    """Return the claim that says where an entitlement's status stands."""
    number, index = divmod(status_index, ENTRIES)
    return {"status_list": {"uri": list_uri(issuer, number), "idx": index}}


def list_uri(issuer: str, number: int) -> str:
    """Return the address, and name, of a list."""
    return f"{issuer}/v1/status-lists/{number}"


def status_list(connection: Connection, keys: KeyRing, issuer: str, number: int) -> str:
    """Return a list as it stands: a bit is 1 where the entitlement no longer holds.

    Raises:
        StatusListUnknown: no document has its place there yet.
    """
    last = (connection.execute(READ_LAST).fetchone() or (None,))[0]
    if number and (last is None or number > last // ENTRIES):
        raise StatusListUnknown("There is no such status list.")
    first = number * ENTRIES
    bits = bytearray(ENTRIES // 8)
    for (index,) in connection.execute(READ_ENDED, (first, first + ENTRIES)):
        place = index - first
        bits[place >> 3] |= 1 << (place & 7)
    now_s = int(clock.now().timestamp())
    claims = {
        "sub": list_uri(issuer, number),
        "iat": now_s,
        "exp": now_s + 2 * TTL_S,
        "ttl": TTL_S,
        "status_list": {"bits": 1, "lst": base64url.encoded(zlib.compress(bytes(bits), 9))},
    }
    return signed_document(keys, DOCUMENT_TYPE, claims)
