"""The public log beside the books: every transfer's commitment is in it exactly once."""

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

import psycopg

from checks.processes import wait_until
from checks.verdict import Verdict
from service.runtime import Runtime

SEALED_WITHIN_S: Final = 15.0
HASH_BYTES: Final = 32

COMMITTED: Final = "SELECT commitment FROM transfer UNION ALL SELECT commitment FROM log_event"
BUNDLES: Final = "SELECT index, entries FROM log_bundle ORDER BY index"
SEALS: Final = "SELECT first_leaf, size FROM log_seal ORDER BY size"
HEADS: Final = "SELECT size FROM log_head ORDER BY size"


def compare_log(runtime: Runtime, verdict: Verdict) -> None:
    """Wait until everything is sealed, then compare the log with what was committed to."""
    wait_until(lambda: _left_out(runtime) == 0, SEALED_WITHIN_S)
    with runtime.database.raw_transaction() as connection:
        _compare(connection, verdict)


def _left_out(runtime: Runtime) -> int:
    with runtime.database.raw_transaction() as connection:
        return len(_committed(connection)) - _size(connection)


def _compare(connection: psycopg.Connection[Any], verdict: Verdict) -> None:
    entries = _entries(connection)
    committed = Counter(_committed(connection))
    logged = Counter(entries)
    verdict.count("log: entries", len(entries))
    verdict.count("log: heads", len(connection.execute(HEADS).fetchall()))
    verdict.count("log: missing", sum((committed - logged).values()))
    verdict.count("log: doubled or foreign", sum((logged - committed).values()))
    verdict.require(committed == logged, "the log is not what was committed to, each once")
    verdict.require(len(entries) == _size(connection), "the log's bundles and seals differ in size")
    at = 0
    for first_leaf, size in connection.execute(SEALS):
        verdict.require(first_leaf == at, f"the seals have a gap or a double at leaf {at}")
        at = size


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root of the tree over leaf hashes, as RFC 6962 section 2.1 defines it."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = root_of(leaves[:split]), root_of(leaves[split:])
    return sha256(b"\x01" + left + right).digest()


def leaf_hashes(connection: psycopg.Connection[Any]) -> list[bytes]:
    """Return the hash of every entry of the log, in its order."""
    return [sha256(b"\x00" + entry).digest() for entry in _entries(connection)]


def _entries(connection: psycopg.Connection[Any]) -> list[bytes]:
    """Return every entry of the log in its order."""
    joined = b"".join(bytes(row[1]) for row in connection.execute(BUNDLES))
    return [joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)]


def _committed(connection: psycopg.Connection[Any]) -> list[bytes]:
    return [bytes(row[0]) for row in connection.execute(COMMITTED)]


def _size(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT coalesce(max(size), 0) FROM log_seal").fetchone()
    assert row is not None
    return int(row[0])
