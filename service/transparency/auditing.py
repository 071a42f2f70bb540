"""Auditing the log: entries derived again from what was committed, the tree again from its entries.

What SQL can compare in sets is a `Check` like the ledger's. Hashing is Python's part: `audit_tree`
grows the tree once more from the stored entries and compares it with every tile, every seal, every
published head and the head that is kept outside. Both work in one snapshot, and at the same time.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import psycopg

from service.ledger.audit import Check, Finding, Part
from service.runtime import Runtime
from service.transparency.errors import ProofInvalid
from service.transparency.key_events import logged_keys
from service.transparency.keys import LogKeys
from service.transparency.merkle import HASH_BYTES, HASHES_IN_TILE
from service.transparency.notes import Checkpoint, Verifier, open_checkpoint
from service.transparency.outside import Outside
from service.transparency.regrowing import RegrownTree

DERIVED_ENTRIES: Final = f"""
WITH part AS (
    SELECT seal.first_leaf, derived.*
    FROM log_seal seal CROSS JOIN LATERAL (
        SELECT leaf / {HASHES_IN_TILE} AS index,
               string_agg(commitment, ''::bytea ORDER BY leaf) AS entries
        FROM (
            SELECT commitment, seal.first_leaf - 1
                + row_number() OVER (ORDER BY recorded_at, citizen_id, line, id) AS leaf
            FROM (
                SELECT commitment, recorded_at, citizen_id, line, id FROM transfer
                WHERE xact_id >= seal.from_xact AND xact_id < seal.until_xact
                UNION ALL
                SELECT commitment, recorded_at, NULL, 0, id FROM log_event
                WHERE xact_id >= seal.from_xact AND xact_id < seal.until_xact
            ) AS entry
        ) AS placed GROUP BY 1
    ) AS derived
), derived AS (
    SELECT index, string_agg(entries, ''::bytea ORDER BY first_leaf) AS entries
    FROM part GROUP BY index
)
SELECT index * {HASHES_IN_TILE} + coalesce((
           SELECT min(place) FROM generate_series(0, {HASHES_IN_TILE} - 1) AS place
           WHERE substr(bundle.entries, (place * {HASH_BYTES} + 1)::int, {HASH_BYTES})
                 IS DISTINCT FROM
                 substr(derived.entries, (place * {HASH_BYTES} + 1)::int, {HASH_BYTES})
       ), 0) AS leaf
FROM derived FULL JOIN log_bundle bundle USING (index)
WHERE derived.entries IS DISTINCT FROM bundle.entries
"""

BROKEN_SEALS: Final = """
SELECT size, first_leaf, from_xact::text, until_xact::text
FROM (
    SELECT *, lag(size, 1, 0::bigint) OVER (ORDER BY size) AS size_before,
           lag(until_xact, 1, '0'::xid8) OVER (ORDER BY size) AS until_before
    FROM log_seal
) AS seal
WHERE first_leaf <> size_before OR from_xact <> until_before
"""

NAMELESS: Final = f"""
SELECT index * {HASHES_IN_TILE} AS leaf FROM log_bundle
WHERE NOT EXISTS (SELECT FROM log_identity)
"""

CHECKS: Final = (
    Check(
        "log-has-its-name",
        "A log that has entries still knows under which name it was founded.",
        NAMELESS,
    ),
    Check(
        "log-has-what-was-committed",
        "The log's entries are the commitments of all sealed transfers and events, in order.",
        DERIVED_ENTRIES,
    ),
    Check(
        "seals-leave-no-gap",
        "Each seal begins where the one before it ended, in leaves and in transactions.",
        BROKEN_SEALS,
    ),
)

STORED_LEAVES: Final = """
SELECT index, bundle.entries, tile.hashes
FROM log_bundle bundle
FULL JOIN (SELECT index, hashes FROM log_tile WHERE level = 0) AS tile USING (index)
ORDER BY index
"""
UPPER_TILES: Final = "SELECT level, index, hashes FROM log_tile WHERE level > 0"
SEALS: Final = """
SELECT size, root, checkpoint FROM log_seal LEFT JOIN log_head USING (size) ORDER BY size
"""
ORIGIN: Final = "SELECT origin FROM log_identity"
BUNDLES_AT_A_TIME: Final = 512
SEALS_AT_A_TIME: Final = 2000


class _Comparison:
    """Counts the differences of one kind and keeps the first."""

    def __init__(self, name: str, says: str) -> None:
        self.name = name
        self.says = says
        self.differences = 0
        self.first: dict[str, Any] | None = None

    def differs(self, **where: Any) -> None:
        """Count a difference."""
        self.differences += 1
        self.first = self.first or where

    @property
    def finding(self) -> Finding:
        """The result."""
        return Finding(self.name, self.says, self.differences, self.first)


class _Sealed(NamedTuple):
    """A seal's tree, and the head over it if one was published."""

    size: int
    root: bytes
    checkpoint: str | None


def audited_log(runtime: Runtime) -> Part:
    """Return what an installation's audit has to ask of its log.

    The head outside is read here, before the audit's snapshot is taken, which therefore has all of
    the tree that it is over.
    """
    keys = LogKeys.at(runtime.settings.home / "keys")
    kept = Outside(runtime.settings.outside).checkpoint()

    def examine(connection: psycopg.Connection[Any]) -> list[Finding]:
        origin = _origin(connection)
        # Before the first sealer the log has no name, and so nobody can have signed for it.
        return audit_tree(connection, keys.verifiers(origin) if origin else [], kept)

    return Part(CHECKS, examine)


def audit_tree(
    connection: psycopg.Connection[Any], verifiers: Sequence[Verifier], kept_outside: str | None
) -> list[Finding]:
    """Grow the tree once more from its entries and compare everything that was made of it.

    Args:
        connection: inside the audit's snapshot.
        verifiers: keys that may have signed, besides those that the log itself names.
        kept_outside: the note in `CARBON_OUTSIDE`, if there is one.

    Returns:
        One finding for each kind of comparison.
    """
    return _TreeAudit(connection, verifiers, kept_outside).findings()


class _TreeAudit:
    def __init__(
        self,
        connection: psycopg.Connection[Any],
        verifiers: Sequence[Verifier],
        kept_outside: str | None,
    ) -> None:
        self._connection = connection
        self._verifiers = [*verifiers, *_verifiers_logged(connection)]
        self._origin = _origin(connection)
        self._note_outside = kept_outside
        self.tiles = _Comparison(
            "tiles-follow-from-entries", "Every tile holds the hashes that its entries give."
        )
        self.seals = _Comparison(
            "seals-have-their-root", "Every seal has the root of the tree at its size."
        )
        self.heads = _Comparison(
            "heads-are-signed-roots",
            "Every published head is signed by a key of the log, over the root at its size.",
        )
        self.outside = _Comparison(
            "log-continues-the-outside-head",
            "The head kept outside the database is signed, and the tree had its root.",
        )

    def findings(self) -> list[Finding]:
        """Compare everything in one pass over the entries."""
        outside = self._opened_outside()
        tree = RegrownTree()
        seals = _rows(self._connection, "seals", SEALS, SEALS_AT_A_TIME)
        due = self._next_seal(seals)
        leaves = _rows(self._connection, "leaves", STORED_LEAVES, BUNDLES_AT_A_TIME)
        for index, entries, hashes in leaves:
            self._compare_leaves(tree, index, entries or b"", hashes or b"")
            while due is not None and due.size <= tree.size:
                self._compare_seal(due, tree.root(due.size))
                due = self._next_seal(seals)
            if outside and tree.begins_at < outside.size <= tree.size:
                self._compare_outside(outside, tree.root(outside.size))
        self._compare_what_is_left(tree, due, outside)
        return [each.finding for each in (self.tiles, self.seals, self.heads, self.outside)]

    def _next_seal(self, seals: Iterator[tuple[Any, ...]]) -> _Sealed | None:
        row = next(seals, None)
        return _Sealed._make(row) if row else None

    def _compare_leaves(self, tree: RegrownTree, index: int, entries: bytes, hashes: bytes) -> None:
        if index * HASHES_IN_TILE != tree.size or tree.grow(entries) != hashes:
            self.tiles.differs(level=0, index=index)

    def _compare_seal(self, sealed: _Sealed, root: bytes) -> None:
        if sealed.root != root:
            self.seals.differs(size=sealed.size)
        if sealed.checkpoint is None:
            return
        head = self._opened(sealed.checkpoint)
        if head is None or (head.origin, head.size, head.root) != (
            self._origin,
            sealed.size,
            root,
        ):
            self.heads.differs(size=sealed.size)

    def _compare_outside(self, kept: Checkpoint, root: bytes) -> None:
        if (kept.origin, kept.root) != (self._origin, root):
            self.outside.differs(size=kept.size)

    def _compare_what_is_left(
        self, tree: RegrownTree, due: _Sealed | None, outside: Checkpoint | None
    ) -> None:
        """Compare the upper levels, and see that nothing reaches beyond the last entry."""
        stored = {(row[0], row[1]): row[2] for row in self._connection.execute(UPPER_TILES)}
        regrown = tree.upper_tiles()
        for place in sorted(stored.keys() | regrown.keys()):
            if stored.get(place) != regrown.get(place):
                self.tiles.differs(level=place[0], index=place[1])
        if due is not None:
            self.seals.differs(size=due.size)
        if outside and outside.size > tree.size:
            self.outside.differs(size=outside.size, leaves=tree.size)

    def _opened_outside(self) -> Checkpoint | None:
        if self._note_outside is None:
            row = self._connection.execute("SELECT 1 FROM log_head LIMIT 1").fetchone()
            if row is not None:
                self.outside.differs(missing=True)
            return None
        opened = self._opened(self._note_outside)
        if opened is None:
            self.outside.differs(signed=False)
        return opened

    def _opened(self, note: str) -> Checkpoint | None:
        try:
            return open_checkpoint(note, self._verifiers)
        except ProofInvalid:
            return None


def _verifiers_logged(connection: psycopg.Connection[Any]) -> list[Verifier]:
    return [Verifier.parse(key.vkey) for key in logged_keys(connection)]


def _origin(connection: psycopg.Connection[Any]) -> str:
    row = connection.execute(ORIGIN).fetchone()
    return str(row[0]) if row else ""


def _rows(
    connection: psycopg.Connection[Any], name: str, query: str, at_a_time: int
) -> Iterator[tuple[Any, ...]]:
    with connection.cursor(name, binary=True) as cursor:
        cursor.execute(query)
        while rows := cursor.fetchmany(at_a_time):
            yield from rows
