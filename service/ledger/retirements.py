"""What a citizen retires herself: her grams are used up for good, with her own words to it.

The posting's id is made of her idempotency key. So the ledger itself moves value once for a key,
for ever and whatever becomes of stored answers, and a refusal stays the same refusal.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import psycopg

from service.ids import IdUnknown
from service.ledger.errors import PostingConflict
from service.ledger.postings import LotLine, Outcome
from service.ledger.spending import retire
from service.ledger.transfers import derived_id

WRITE_WORDS: Final = """
INSERT INTO retirement (citizen_id, id, purpose, beneficiary) VALUES (%s, %s, %s, %s)
"""

READ_WORDS: Final = "SELECT purpose, beneficiary FROM retirement WHERE citizen_id = %s AND id = %s"

# The first line of a posting goes by the posting's id.
_READ = """
SELECT transfer.id, transfer.recorded_at, retirement.purpose, retirement.beneficiary
FROM transfer
LEFT JOIN retirement ON retirement.citizen_id = transfer.citizen_id AND retirement.id = transfer.id
WHERE transfer.citizen_id = %(citizen_id)s AND transfer.kind = 'retire' AND transfer.line = 0
"""

READ_ONE: Final = f"{_READ} AND transfer.id = %(id)s"

READ_PAGE: Final = f"""{_READ} AND (transfer.recorded_at, transfer.id) < (%(recorded_at)s, %(id)s)
ORDER BY transfer.recorded_at DESC, transfer.id DESC LIMIT %(rows)s
"""

# By the statement's way, along the citizen's transfers: no index knows postings.
READ_LINES: Final = """
SELECT posting_id, kind, expires_on, points, reduction_g FROM transfer
WHERE citizen_id = %s AND posting_id = ANY(%s) ORDER BY line
"""

LAST_ID: Final = UUID(int=2**128 - 1)


class Wish(NamedTuple):
    """What a citizen asks for: points or grams, and what she says of it."""

    points: int | None = None
    reduction_g: int | None = None
    purpose: str | None = None
    beneficiary: str | None = None


class Retired(NamedTuple):
    """A retirement, as it stays."""

    id: UUID
    recorded_at: datetime
    purpose: str | None
    beneficiary: str | None
    lines: tuple[LotLine, ...]

    @property
    def points(self) -> int:
        """The points that went."""
        return sum(line.points for line in self.lines)

    @property
    def reduction_g(self) -> int:
        """The grams that went with them."""
        return sum(line.reduction_g for line in self.lines)


def posting_id_for(citizen_id: UUID, key: str | None) -> UUID:
    """Return the posting's id for an idempotency key; without one, each request is another."""
    return derived_id(b"retirement", citizen_id.bytes, key.encode()) if key else uuid4()


def carry_out(
    connection: psycopg.Connection[Any], citizen_id: UUID, posting_id: UUID, wish: Wish
) -> Outcome:
    """Retire what a citizen asks for, and keep her words.

    Args:
        connection: inside the caller's transaction.
        citizen_id: whose.
        posting_id: see `posting_id_for`.
        wish: exactly one of `points` and `reduction_g`.

    Returns:
        The outcome, or a refusal to be raised after the commit.

    Raises:
        AmountInvalid: not exactly one amount is given, or it is none.
        PostingConflict: the id came before with another wish.
    """
    outcome = retire(
        connection, citizen_id, posting_id, points=wish.points, reduction_g=wish.reduction_g
    )
    if outcome.refusal is not None:
        return outcome
    words = wish.purpose, wish.beneficiary
    if outcome.is_repeat:
        _require_same_words(connection, citizen_id, posting_id, words)
    elif any(words):
        connection.execute(WRITE_WORDS, (citizen_id, posting_id, *words))
    return outcome


def _require_same_words(
    connection: psycopg.Connection[Any],
    citizen_id: UUID,
    posting_id: UUID,
    words: tuple[str | None, str | None],
) -> None:
    first = connection.execute(READ_WORDS, (citizen_id, posting_id)).fetchone() or (None, None)
    for field, before, now in zip(("purpose", "beneficiary"), first, words, strict=True):
        if before != now:
            raise PostingConflict(
                "This id was used before with another {field}; choose a new id.", field=field
            )


def retired(connection: psycopg.Connection[Any], citizen_id: UUID, posting_id: UUID) -> Retired:
    """Return one of a citizen's retirements.

    Raises:
        IdUnknown: she has no such retirement.
    """
    rows = connection.execute(READ_ONE, {"citizen_id": citizen_id, "id": posting_id}).fetchall()
    if not rows:
        raise IdUnknown("There is nothing by this id, or it is not yours to see.")
    return _with_lines(connection, citizen_id, rows)[0]


def retirements_of(
    connection: psycopg.Connection[Any],
    citizen_id: UUID,
    *,
    rows: int,
    after: tuple[datetime, UUID] | None = None,
) -> list[Retired]:
    """Return a citizen's retirements, the newest first.

    Args:
        connection: inside the caller's transaction.
        citizen_id: whose.
        rows: at most so many.
        after: `recorded_at` and `id` of the last one seen; None: from the newest.
    """
    recorded_at, last = after or ("infinity", LAST_ID)
    asked = {"citizen_id": citizen_id, "rows": rows, "recorded_at": recorded_at, "id": last}
    return _with_lines(connection, citizen_id, connection.execute(READ_PAGE, asked).fetchall())


def _with_lines(
    connection: psycopg.Connection[Any], citizen_id: UUID, rows: Sequence[tuple[Any, ...]]
) -> list[Retired]:
    lines: dict[UUID, list[LotLine]] = {row[0]: [] for row in rows}
    for posting_id, *line in connection.execute(READ_LINES, (citizen_id, list(lines))):
        lines[posting_id].append(LotLine(*line))
    return [
        Retired(posting_id, recorded_at, purpose, beneficiary, tuple(lines[posting_id]))
        for posting_id, recorded_at, purpose, beneficiary in rows
    ]
