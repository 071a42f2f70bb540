"""Writing transfers: the rows, what the log will say of them, and the lots that they change."""

import hashlib
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from service.bulk import COPY_FROM, NULL, Row, Table, array_of, insert_rows
from service.ledger.accounts import Accounts
from service.ledger.chart import CHART, Way, is_entrance, shift_in_sql
from service.ledger.commitments import (
    ALONE,
    Placed,
    commitment,
    encoded_amounts,
    encoded_ends,
    joined,
    salt_of,
)
from service.pipelining import Connection

ALONE_TRANSFERS: Final = Table(
    "transfer",
    *("citizen_id", "id", "kind", "expires_on", "points", "reduction_g", "recorded_at"),
    "commitment",
)
"""Of transfers that no posting brought about: issues and expiries."""

TRANSFERS: Final = Table(
    "transfer",
    *("citizen_id", "id", "kind", "expires_on", "points", "reduction_g", "recorded_at"),
    *("commitment", "posting_id", "line", "hold_id", "hold_line", "of_id", "party"),
)


class NewTransfer(NamedTuple):
    """A transfer to be written; ids in hexadecimal."""

    citizen_id: str
    id: str
    kind: str
    expires_on: str
    """The lot, ISO 8601."""
    points: int
    reduction_g: int
    placed: Placed = ALONE


def line_id(posting_id: UUID, line: int) -> UUID:
    """Return the id of a posting's transfer: of the first one the posting's own."""
    if line == 0:
        return posting_id
    return derived_id(b"line", posting_id.bytes, line.to_bytes(2))


def derived_id(*parts: bytes) -> UUID:
    """Return an id that follows from others (UUID version 8)."""
    digest = bytearray(hashlib.sha256(b"\x1f".join(parts)).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return UUID(bytes=bytes(digest))


def write_transfers(
    connection: Connection, accounts: Accounts, transfers: Sequence[NewTransfer]
) -> None:
    """Write transfers and move their points and grams between the places of their lots.

    Args:
        connection: inside the caller's transaction.
        accounts: locked by it.
        transfers: with ids that are new; a lot's constraints refuse to move what is not there.
    """
    if not transfers:
        return
    alone = [transfer for transfer in transfers if transfer.placed is ALONE]
    placed = [transfer for transfer in transfers if transfer.placed is not ALONE]
    insert_rows(connection, ALONE_TRANSFERS, _rows_alone(accounts, alone))
    insert_rows(connection, TRANSFERS, [_row(accounts, transfer) for transfer in placed])
    if len(transfers) < COPY_FROM:
        for transfer in transfers:
            connection.execute(*_shift_of_one(transfer))
    else:
        _shift_many(connection, transfers)


def _rows_alone(accounts: Accounts, transfers: Sequence[NewTransfer]) -> list[Row]:
    """Return rows of `ALONE_TRANSFERS`: those of a feed come by the thousand."""
    rows: list[Row] = []
    for citizen_id, transfer_id, kind, expires_on, points, reduction_g, _ in transfers:
        account = accounts[citizen_id]
        id_sent = bytes.fromhex(transfer_id)
        committed = joined(
            salt_of(account.secret, id_sent),
            bytes.fromhex(citizen_id),
            id_sent,
            _ends_alone(kind, expires_on),
            encoded_amounts(points, reduction_g, account.moved_at_sent),
        )
        amounts = str(points), str(reduction_g)
        at = account.moved_at
        rows.append((citizen_id, transfer_id, kind, expires_on, *amounts, at, _bytea(committed)))
    return rows


@lru_cache(maxsize=4096)
def _ends_alone(kind: str, expires_on: str) -> tuple[bytes, bytes]:
    return encoded_ends(kind, day_sent(expires_on))


def _bytea(value: bytes) -> str:
    return "\\x" + value.hex()


def _row(accounts: Accounts, transfer: NewTransfer) -> Row:
    citizen_id, transfer_id, kind, expires_on, points, reduction_g, placed = transfer
    account = accounts[citizen_id]
    id_sent = bytes.fromhex(transfer_id)
    committed = commitment(
        salt_of(account.secret, id_sent),
        bytes.fromhex(citizen_id),
        id_sent,
        kind,
        day_sent(expires_on),
        points,
        reduction_g,
        account.moved_at_sent,
        placed,
    )
    return (
        citizen_id,
        transfer_id,
        kind,
        expires_on,
        str(points),
        str(reduction_g),
        account.moved_at,
        _bytea(committed),
        placed.posting_id or NULL,
        str(placed.line),
        placed.hold_id or NULL,
        NULL if placed.hold_line < 0 else str(placed.hold_line),
        placed.of_id or NULL,
        placed.party or NULL,
    )


_DAY_NOUGHT: Final = date(2000, 1, 1)


@lru_cache(maxsize=4096)
def day_sent(day: str) -> bytes:
    """Return a day as it is committed to: days since 2000-01-01 in 4 bytes."""
    return (date.fromisoformat(day) - _DAY_NOUGHT).days.to_bytes(4, signed=True)


# --- the lots ---------------------------------------------------------------------------------


def _shift_sql(way: Way) -> str:
    if not is_entrance(way):
        return (
            f"UPDATE lot SET {shift_in_sql(way, '%(p)s', '%(g)s')}"
            " WHERE citizen_id = %(citizen)s AND expires_on = %(day)s"
        )
    return (
        f"INSERT INTO lot (citizen_id, expires_on, {way.source}_points, {way.source}_g,"
        f" {way.target}_points, {way.target}_g)"
        " VALUES (%(citizen)s, %(day)s, %(p)s, %(g)s, %(p)s, %(g)s)"
        " ON CONFLICT (citizen_id, expires_on) DO UPDATE SET "
        + shift_in_sql(way, f"excluded.{way.target}_points", f"excluded.{way.target}_g")
    )


def _shift_many_sql(way: Way) -> str:
    sums = (
        "unnest(%s::uuid[], %s::date[], %s::bigint[], %s::bigint[])"
        " AS moved (citizen_id, expires_on, points, reduction_g)"
    )
    if not is_entrance(way):
        return (
            f"UPDATE lot SET {shift_in_sql(way, 'moved.points', 'moved.reduction_g')} FROM {sums}"
            " WHERE lot.citizen_id = moved.citizen_id AND lot.expires_on = moved.expires_on"
        )
    return (
        f"INSERT INTO lot (citizen_id, expires_on, {way.source}_points, {way.source}_g,"
        f" {way.target}_points, {way.target}_g)"
        f" SELECT citizen_id, expires_on, points, reduction_g, points, reduction_g FROM {sums}"
        " ORDER BY citizen_id, expires_on ON CONFLICT (citizen_id, expires_on) DO UPDATE SET "
        + shift_in_sql(way, f"excluded.{way.target}_points", f"excluded.{way.target}_g")
    )


_SHIFT: Final = {way.kind: _shift_sql(way) for way in CHART}
_SHIFT_MANY: Final = {way.kind: _shift_many_sql(way) for way in CHART}


def _shift_of_one(transfer: NewTransfer) -> tuple[str, dict[str, Any]]:
    return _SHIFT[transfer.kind], {
        "citizen": transfer.citizen_id,
        "day": transfer.expires_on,
        "p": transfer.points,
        "g": transfer.reduction_g,
    }


def _shift_many(connection: Connection, transfers: Sequence[NewTransfer]) -> None:
    """Change every lot once for each kind, the kinds in the order in which they first occur."""
    kinds: dict[str, dict[tuple[str, str], tuple[int, int]]] = {}
    for citizen_id, _, kind, expires_on, points, reduction_g, _ in transfers:
        sums = kinds.setdefault(kind, {})
        lot = citizen_id, expires_on
        before = sums.get(lot)
        if before is not None:
            points += before[0]  # noqa: PLW2901  the running sum of one lot
            reduction_g += before[1]  # noqa: PLW2901
        sums[lot] = points, reduction_g
    for kind, sums in kinds.items():
        connection.execute(
            _SHIFT_MANY[kind],
            (
                array_of(citizen_id for citizen_id, _ in sums),
                array_of(expires_on for _, expires_on in sums),
                array_of(points for points, _ in sums.values()),
                array_of(reduction_g for _, reduction_g in sums.values()),
            ),
        )
