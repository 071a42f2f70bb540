"""Sealing: what has been committed becomes leaves, in an order that everybody can derive again.

A sequence number would leave gaps and arrive out of order, so transfers are taken by transaction: a
seal takes every entry of the transactions in [from, until), where every transaction below `until`
has ended. What is not there then never will be. Inside a seal the order is that of time.

The leaves of one citizen are in the order of her transfers across seals too, which `until` alone
does not give: a transaction that began early may wait for her lock until a later one has committed.
So `until` is lowered until no transfer at or above it was recorded before one of hers below it.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import psycopg

from service.transparency.cluster import wait_for_nodes
from service.transparency.errors import TransactionsWentBack
from service.transparency.merkle import HASH_BYTES, HASHES_IN_TILE, appended
from service.transparency.tile_store import Bundle, tile_reader, write_bundles, write_tiles

LAST_SEAL: Final = """
SELECT size, root, until_xact::text FROM log_seal ORDER BY size DESC LIMIT 1
"""

SNAPSHOT: Final = """
SELECT pg_snapshot_xmin(snapshot)::text, pg_snapshot_xmax(snapshot)::text
FROM pg_current_snapshot() AS snapshot
"""

OUT_OF_ORDER: Final = """
SELECT min(below.xact_id)::text
FROM transfer above JOIN transfer below USING (citizen_id)
WHERE above.xact_id >= %(until)s::xid8
  AND above.xact_id < %(next)s::xid8
  AND below.xact_id >= %(from)s::xid8 AND below.xact_id < %(until)s::xid8
  AND above.recorded_at < below.recorded_at
"""

ENTRIES: Final = """
SELECT commitment, recorded_at,
       %(size)s - 1 + row_number() OVER (ORDER BY recorded_at, citizen_id, line, id) AS leaf
FROM (
    SELECT commitment, recorded_at, citizen_id, line, id FROM transfer
    WHERE xact_id >= %(from)s::xid8 AND xact_id < %(until)s::xid8
    UNION ALL
    SELECT commitment, recorded_at, NULL, 0, id FROM log_event
    WHERE xact_id >= %(from)s::xid8 AND xact_id < %(until)s::xid8
) AS entry
"""
"""What belongs into the seal after `size` leaves, each with its place in the log."""

BUNDLES: Final = f"""
SELECT leaf / {HASHES_IN_TILE}, string_agg(commitment, ''::bytea ORDER BY leaf), min(recorded_at)
FROM ({ENTRIES}) AS placed GROUP BY 1 ORDER BY 1
"""

ADD_SEAL: Final = """
INSERT INTO log_seal (size, first_leaf, from_xact, until_xact, root)
VALUES (%s, %s, %s::xid8, %s::xid8, %s)
"""

BUNDLES_AT_A_TIME: Final = 128
"""Bounds the memory of a seal, which may have to take millions: 1 MiB of entries."""


class Seal(NamedTuple):
    """The tree after a sealing."""

    size: int
    root: bytes
    until_xact: str
    """Every transaction before this one is in the tree."""


NOTHING_SEALED: Final = Seal(0, b"", "0")


def last_seal(connection: psycopg.Connection[Any]) -> Seal | None:
    """Return the tree as far as it has been sealed."""
    row = connection.execute(LAST_SEAL).fetchone()
    return Seal(row[0], bytes(row[1]), row[2]) if row else None


def seal(connection: psycopg.Connection[Any]) -> Seal | None:
    """Take what has been committed since the last seal into the tree, in one transaction.

    Args:
        connection: the sealer's own, which holds its lock; READ COMMITTED, no open transaction.

    Returns:
        The tree after it; None if nothing new has been committed.

    Raises:
        TransactionsWentBack: the database was dumped and loaded into another server.
        TileUnusable: the right edge of the tree is damaged.
    """
    with connection.transaction():
        last = last_seal(connection) or NOTHING_SEALED
        until = _horizon(connection, last)
        size, root = last.size, last.root
        for bundles in _bundles(connection, last, until):
            size, root = _append(connection, size, bundles)
        if size == last.size:
            return None
        connection.execute(ADD_SEAL, [size, last.size, last.until_xact, until, root])
    return Seal(size, root, until)


def _horizon(connection: psycopg.Connection[Any], last: Seal) -> str:
    """Return the first transaction that is too young for this seal."""
    until, next_xact = _snapshot(connection)
    _refuse_renumbering(last, until)
    wait_for_nodes(connection)
    terms: dict[str, str] = {"from": last.until_xact, "until": until, "next": next_xact}
    while earlier := _out_of_order(connection, terms):
        terms["until"] = earlier
    return terms["until"]


def refuse_renumbering(connection: psycopg.Connection[Any]) -> None:
    """Refuse a server whose transactions have lower numbers than what was sealed.

    Raises:
        TransactionsWentBack: the database was dumped and loaded into another server.
    """
    until, _ = _snapshot(connection)
    _refuse_renumbering(last_seal(connection) or NOTHING_SEALED, until)


def _snapshot(connection: psycopg.Connection[Any]) -> tuple[str, str]:
    """Return the first transaction that has not ended, and the first that has not begun."""
    row = connection.execute(SNAPSHOT).fetchone()
    assert row is not None  # noqa: S101  there is always a snapshot
    return row[0], row[1]


def _refuse_renumbering(last: Seal, until: str) -> None:
    if int(until) < int(last.until_xact):
        raise TransactionsWentBack(
            "The log has sealed up to transaction {sealed}, and the server is at {present}."
            " Restore by pg_basebackup and WAL, which keep the numbers, not from a dump.",
            sealed=last.until_xact,
            present=until,
        )


def _out_of_order(connection: psycopg.Connection[Any], terms: dict[str, str]) -> str | None:
    """Return the first transaction below the horizon that is to wait for one above it."""
    row = connection.execute(OUT_OF_ORDER, terms).fetchone()
    return row[0] if row else None


def _bundles(
    connection: psycopg.Connection[Any], last: Seal, until: str
) -> Iterator[Sequence[Bundle]]:
    """Yield the new entries in order, some bundles at a time."""
    terms = {"from": last.until_xact, "until": until, "size": last.size}
    with connection.cursor("entries", binary=True) as cursor:
        cursor.execute(BUNDLES, terms)
        while rows := cursor.fetchmany(BUNDLES_AT_A_TIME):
            yield [Bundle._make(row) for row in rows]


def _append(
    connection: psycopg.Connection[Any], size: int, bundles: Sequence[Bundle]
) -> tuple[int, bytes]:
    """Write entries behind the first `size`; return size and root after them."""
    joined = b"".join(bundle.entries for bundle in bundles)
    entries = [joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)]
    growth = appended(size, tile_reader(connection, size), entries)
    write_bundles(connection, size, bundles)
    write_tiles(connection, growth.tiles)
    return growth.size, growth.root
