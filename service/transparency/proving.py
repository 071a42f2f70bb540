"""Proving what the log holds: where a transfer or an event is, and the file that shows a transfer.

No table says at which leaf a transfer is: its rows would come in random order, at the price of the
transfers themselves. Its transaction says in which seal it is, and its time in which bundle.
"""

from dataclasses import fields
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from service.ids import IdUnknown
from service.ledger.commitments import salt_of
from service.transparency.committed import CommittedTransfer
from service.transparency.errors import LogEmpty, TileUnusable, TransferNotSealed
from service.transparency.merkle import HASH_BYTES, HASHES_IN_TILE, Tree, leaf_hash
from service.transparency.proof_files import proof_document
from service.transparency.published import published_head
from service.transparency.tile_store import tile_reader

FIELDS: Final = tuple(field.name for field in fields(CommittedTransfer))

TRANSFER: Final = f"""
SELECT {", ".join(f"transfer.{name}" for name in FIELDS)},
       commitment, xact_id::text, secret
FROM transfer JOIN account ON account.citizen_id = transfer.citizen_id
WHERE transfer.citizen_id = %s AND transfer.id = %s AND secret IS NOT NULL
"""

SEAL_OF: Final = """
SELECT first_leaf, size FROM log_seal WHERE until_xact > %s::xid8 ORDER BY until_xact LIMIT 1
"""

# From the last bundle that can have it backwards; the first hit ends the search. The first bundle
# of a seal may begin with older ones, and its time is theirs.
PLACE: Final = """
SELECT index, position(%(commitment)s IN entries) FROM log_bundle
WHERE index BETWEEN %(first)s AND %(last)s
  AND (index = %(first)s OR first_recorded_at <= %(recorded_at)s)
  AND position(%(commitment)s IN entries) > 0
ORDER BY index DESC LIMIT 1
"""


EVENT: Final = "SELECT commitment, recorded_at, xact_id::text FROM log_event WHERE id = %s"


class _Found(NamedTuple):
    """A transfer, and what is needed to find and open its entry."""

    transfer: CommittedTransfer
    commitment: bytes
    xact_id: str
    secret: bytes


def proof_of(
    connection: psycopg.Connection[Any], citizen_id: UUID, transfer_id: UUID
) -> dict[str, Any]:
    """Return the proof file of one of a citizen's transfers against the last head.

    Raises:
        IdUnknown: she has no such transfer; whether somebody else has is never said.
        TransferNotSealed: it is too new; it will be there in a second or two.
        TileUnusable: the log has something else where the transfer must be.
    """
    found = _found(connection, citizen_id, transfer_id)
    head = published_head(connection)
    leaf = _leaf_of(
        connection, found.commitment, found.transfer.recorded_at, found.xact_id, head.size
    )
    tree = Tree(head.size, tile_reader(connection, head.size, [leaf]))
    if tree.leaf(leaf) != leaf_hash(found.commitment):
        raise _damaged(leaf)
    return proof_document(
        found.transfer,
        salt_of(found.secret, transfer_id.bytes),
        leaf,
        head.size,
        tree.inclusion_path(leaf),
        head.checkpoint,
    )


def _found(connection: psycopg.Connection[Any], citizen_id: UUID, transfer_id: UUID) -> _Found:
    row = connection.execute(TRANSFER, [citizen_id, transfer_id]).fetchone()
    if row is None:
        raise IdUnknown("There is nothing by this id, or it is not yours to see.")
    transfer = CommittedTransfer(*row[: len(FIELDS)])
    return _Found(transfer, *row[len(FIELDS) :])


def leaf_of_event(connection: psycopg.Connection[Any], event_id: UUID) -> int | None:
    """Return at which leaf an event is; None: it is too new for the last head.

    Raises:
        IdUnknown: there is no such event.
        TileUnusable: the log has something else where the event must be.
    """
    row = connection.execute(EVENT, [event_id]).fetchone()
    if row is None:
        raise IdUnknown("There is nothing by this id, or it is not yours to see.")
    commitment, recorded_at, xact_id = row
    try:
        published = published_head(connection).size
        return _leaf_of(connection, commitment, recorded_at, xact_id, published)
    except (LogEmpty, TransferNotSealed):
        return None


def _leaf_of(
    connection: psycopg.Connection[Any],
    commitment: bytes,
    recorded_at: datetime,
    xact_id: str,
    published: int,
) -> int:
    seal = connection.execute(SEAL_OF, [xact_id]).fetchone()
    if seal is None or seal[1] > published:
        raise TransferNotSealed(
            "The log takes in what is new every second. Please ask again.", retry_after_s=2
        )
    first_leaf, size = seal
    terms = {
        "commitment": commitment,
        "recorded_at": recorded_at,
        "first": first_leaf // HASHES_IN_TILE,
        "last": (size - 1) // HASHES_IN_TILE,
    }
    place = connection.execute(PLACE, terms).fetchone()
    if place is None:
        raise _damaged(first_leaf)
    index, position = place
    return int(index * HASHES_IN_TILE + (position - 1) // HASH_BYTES)


def _damaged(leaf: int) -> TileUnusable:
    tile = leaf // HASHES_IN_TILE
    return TileUnusable("Tile {index} of level {level} is damaged.", level=0, index=tile)
