"""Proving a citizen's transfer: where it is in the log, and the file that shows it.

No table says at which leaf a transfer is: its rows would come in random order, at the price of the
transfers themselves. Its transaction says in which seal it is, and its time in which bundle.
"""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from service.ids import IdUnknown
from service.ledger.commitments import salt_of
from service.transparency.committed import CommittedTransfer
from service.transparency.errors import TileUnusable, TransferNotSealed
from service.transparency.merkle import HASH_BYTES, HASHES_IN_TILE, Tree, leaf_hash
from service.transparency.proof_files import proof_document
from service.transparency.published import published_head
from service.transparency.tile_store import tile_reader

FIELDS: Final = """
SELECT citizen_id, id, kind, expires_on, points, reduction_g, recorded_at, posting_id, line,
       hold_id, hold_line, of_id, party
FROM transfer WHERE citizen_id = %s AND id = %s
"""

SEALING: Final = """
SELECT transfer.commitment, transfer.recorded_at, transfer.xact_id::text, account.secret
FROM transfer JOIN account ON account.citizen_id = transfer.citizen_id
WHERE transfer.citizen_id = %s AND transfer.id = %s AND account.secret IS NOT NULL
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


class _Sealing(NamedTuple):
    commitment: bytes
    recorded_at: datetime
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
    transfer, sealing = _found(connection, citizen_id, transfer_id)
    head = published_head(connection)
    leaf = _leaf_of(connection, sealing, head.size)
    tree = Tree(head.size, tile_reader(connection, head.size))
    if tree.leaf(leaf) != leaf_hash(sealing.commitment):
        raise _damaged(leaf)
    return proof_document(
        transfer,
        salt_of(sealing.secret, transfer_id.bytes),
        leaf,
        head.size,
        tree.inclusion_path(leaf),
        head.checkpoint,
    )


def _found(
    connection: psycopg.Connection[Any], citizen_id: UUID, transfer_id: UUID
) -> tuple[CommittedTransfer, _Sealing]:
    terms = [citizen_id, transfer_id]
    with connection.cursor(row_factory=class_row(CommittedTransfer)) as cursor:
        transfer = cursor.execute(FIELDS, terms).fetchone()
    sealing = connection.execute(SEALING, terms).fetchone()
    if transfer is None or sealing is None:
        raise IdUnknown("There is nothing by this id, or it is not yours to see.")
    return transfer, _Sealing._make(sealing)


def _leaf_of(connection: psycopg.Connection[Any], sealing: _Sealing, published: int) -> int:
    seal = connection.execute(SEAL_OF, [sealing.xact_id]).fetchone()
    if seal is None or seal[1] > published:
        raise TransferNotSealed(
            "The log takes in what is new every second. Please ask again.", retry_after_s=2
        )
    first_leaf, size = seal
    terms = {
        "commitment": sealing.commitment,
        "recorded_at": sealing.recorded_at,
        "first": first_leaf // HASHES_IN_TILE,
        "last": (size - 1) // HASHES_IN_TILE,
    }
    found = connection.execute(PLACE, terms).fetchone()
    if found is None:
        raise _damaged(first_leaf)
    index, position = found
    return int(index * HASHES_IN_TILE + (position - 1) // HASH_BYTES)


def _damaged(leaf: int) -> TileUnusable:
    tile = leaf // HASHES_IN_TILE
    return TileUnusable("Tile {index} of level {level} is damaged.", level=0, index=tile)
