"""One posting from its id to its answer: asked before, refused, or carried out line by line.

Whoever moves points chooses an id, and that id is good for one thing for ever. Sent again with the
same terms it gives the first answer, also if that was a refusal; with other terms it is a conflict
that names the field.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
import psycopg

from service.bulk import NULL, Row, Table, array_of
from service.errors import DomainError
from service.ledger.accounts import Accounts
from service.ledger.commitments import Placed
from service.ledger.errors import AmountInvalid, PostingConflict, verdict
from service.ledger.transfers import NewTransfer, line_id, write_transfers
from service.pipelining import Connection

POSTINGS: Final = Table(
    "posting",
    *("citizen_id", "id", "kind", "points", "reduction_g", "hold_id", "of_id", "party"),
    *("expires_on", "carry_to", "recorded_at"),
)

ASK: Final = """
INSERT INTO posting (citizen_id, id, kind, points, reduction_g, hold_id, of_id, party, expires_on,
    carry_to)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (citizen_id, id) DO NOTHING RETURNING 1
"""

READ_POSTING: Final = """
SELECT posting.kind, points, reduction_g, hold_id, of_id, party, expires_on, carry_to,
       refusal.code, refusal.params
FROM posting LEFT JOIN refusal
    ON refusal.citizen_id = posting.citizen_id AND refusal.posting_id = posting.id
WHERE posting.citizen_id = %s AND posting.id = %s
"""

REFUSE: Final = """
INSERT INTO refusal (citizen_id, posting_id, code, params, recorded_at)
VALUES (%s, %s, %s, %s, %s)
"""

READ_LINES: Final = """
SELECT kind, expires_on, points, reduction_g FROM transfer
WHERE citizen_id = %s AND id = ANY(%s::uuid[]) ORDER BY line
"""

LINES_AT_ONCE: Final = 32

AMOUNT_MOST: Final = 2**53 - 1
"""The largest whole number that every reader of JSON keeps exact."""


def require_amount(amount: int | None) -> None:
    """Refuse what is no amount of points or grams; None stands for all there are.

    Raises:
        AmountInvalid: it is not from 1 to 2⁵³ − 1.
    """
    if amount is not None and not 1 <= amount <= AMOUNT_MOST:
        raise AmountInvalid("An amount is a whole number from 1 to {most}.", most=AMOUNT_MOST)


class Terms(NamedTuple):
    """What is asked for."""

    kind: str
    points: int | None = None
    """None: all there are."""
    reduction_g: int | None = None
    hold_id: UUID | None = None
    of_id: UUID | None = None
    party: UUID | None = None
    expires_on: date | None = None
    carry_to: date | None = None


class Movement(NamedTuple):
    """One lot line of a posting, to be written."""

    kind: str
    expires_on: date
    points: int
    reduction_g: int
    hold_line: int = -1
    """-1: of no hold."""


class LotLine(NamedTuple):
    """One lot line of a posting, as it was written."""

    kind: str
    expires_on: date
    points: int
    reduction_g: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of a posting."""

    id: UUID
    lines: tuple[LotLine, ...] = ()
    refusal: DomainError | None = None
    is_repeat: bool = False

    @property
    def points(self) -> int:
        """The points it moved, not counting where a part of them was carried on to."""
        return sum(line.points for line in self._first_steps())

    @property
    def reduction_g(self) -> int:
        """The grams it moved with them."""
        return sum(line.reduction_g for line in self._first_steps())

    def _first_steps(self) -> list[LotLine]:
        carried = {"carry_out", "carry_in"}
        steps = [line for line in self.lines if line.kind not in carried]
        return steps or [line for line in self.lines if line.kind == "carry_in"]

    def raise_refusal(self) -> "Outcome":
        """Raise the refusal, if it is one: after the commit, for it is a verdict that stays."""
        if self.refusal is not None:
            raise self.refusal
        return self


class Posting:
    """One posting on its way, inside the caller's transaction and under the citizen's lock."""

    def __init__(
        self, connection: Connection, citizen_id: UUID, posting_id: UUID, terms: Terms
    ) -> None:
        """Write down what is asked, unless the id was used before; `answered_before` tells."""
        self.connection = connection
        self.citizen_id = citizen_id
        self.id = posting_id
        self.terms = terms
        self.hold_id = posting_id if terms.kind == "hold" else terms.hold_id
        """The hold in whose story its lines are told."""
        self.party = terms.party
        self._asked = connection.execute(ASK, (citizen_id, posting_id, *terms))

    def answered_before(self) -> Outcome | None:
        """Return the first answer to this id, if it was used before.

        Raises:
            PostingConflict: it was used with other terms.
        """
        if self._asked.fetchone() is not None:
            return None
        found = self.connection.execute(READ_POSTING, (self.citizen_id, self.id)).fetchone()
        assert found is not None  # noqa: S101  it is what was in the way of the new one
        *terms, code, params = found
        self._require_same(Terms._make(terms))
        if code is not None:
            return Outcome(self.id, refusal=verdict(code, params), is_repeat=True)
        return Outcome(self.id, tuple(self._lines_written()), is_repeat=True)

    def _require_same(self, first: Terms) -> None:
        for field, before, now in zip(Terms._fields, first, self.terms, strict=True):
            if before != now:
                raise posting_conflict(field)

    def _lines_written(self) -> list[LotLine]:
        """Look its lines up by their ids, which follow from its own."""
        lines: list[LotLine] = []
        for start in count(step=LINES_AT_ONCE):
            ids = array_of(line_id(self.id, start + line).hex for line in range(LINES_AT_ONCE))
            found = self.connection.execute(READ_LINES, (self.citizen_id, ids)).fetchall()
            lines += [LotLine._make(row) for row in found]
            if len(found) < LINES_AT_ONCE:
                break
        return lines

    def refuse(self, accounts: Accounts, refused: type[DomainError], **params: Any) -> Outcome:
        """Write down that it is refused, for ever.

        Args:
            accounts: with the citizen's.
            refused: one of `service.ledger.errors.VERDICTS`.
            params: what makes its sentence, now and for every repeat.
        """
        refusal = verdict(refused.code, params)
        moved_at = accounts[self.citizen_id.hex].moved_at
        encoded = msgspec.json.encode(params).decode()
        self.connection.execute(REFUSE, (self.citizen_id, self.id, refusal.code, encoded, moved_at))
        return Outcome(self.id, refusal=refusal)

    def carry_out(self, accounts: Accounts, movements: Sequence[Movement]) -> Outcome:
        """Write a transfer for each of its lot lines.

        Args:
            accounts: with the citizen's.
            movements: in the order of the lines.

        Raises:
            PostingConflict: a transfer that is not this posting's goes by the id.
        """
        transfers = movements_as_transfers(
            self.citizen_id,
            self.id,
            movements,
            hold_id=self.hold_id,
            of_id=self.terms.of_id,
            party=self.party,
        )
        try:
            write_transfers(self.connection, accounts, transfers)
        except psycopg.errors.UniqueViolation as error:
            # An issue goes by the id, or a line of another posting: no posting, yet not a new id.
            raise posting_conflict("kind") from error
        return Outcome(self.id, tuple(LotLine(*movement[:4]) for movement in movements))


def was_asked(connection: Connection, citizen_id: UUID, posting_id: UUID) -> bool:
    """Return whether a posting's id was used before, with whatever answer."""
    found = connection.execute(READ_POSTING, (citizen_id, posting_id)).fetchone()
    return found is not None


def posting_conflict(field: str) -> PostingConflict:
    """Return the refusal of an id that was used before with other terms."""
    return PostingConflict(
        "This id was used before with another {field}; choose a new id.", field=field
    )


def movements_as_transfers(
    citizen_id: UUID,
    posting_id: UUID,
    movements: Sequence[Movement],
    *,
    hold_id: UUID | None = None,
    of_id: UUID | None = None,
    party: UUID | None = None,
) -> list[NewTransfer]:
    """Return a posting's movements as transfers, each with the id of its line."""
    posting, hold, of, whose = posting_id.hex, _hex(hold_id), _hex(of_id), _hex(party)
    return [
        NewTransfer(
            citizen_id.hex,
            line_id(posting_id, line).hex,
            movement.kind,
            movement.expires_on.isoformat(),
            movement.points,
            movement.reduction_g,
            Placed(
                posting,
                line,
                hold if movement.hold_line >= 0 else "",
                movement.hold_line,
                of,
                whose,
            ),
        )
        for line, movement in enumerate(movements)
    ]


def posting_row(citizen_id: UUID, posting_id: UUID, terms: Terms, moved_at: str) -> Row:
    """Return a posting as a row of `POSTINGS`."""
    return (
        citizen_id.hex,
        posting_id.hex,
        terms.kind,
        _text(terms.points),
        _text(terms.reduction_g),
        _hex(terms.hold_id) or NULL,
        _hex(terms.of_id) or NULL,
        _hex(terms.party) or NULL,
        _text(terms.expires_on),
        _text(terms.carry_to),
        moved_at,
    )


def _text(value: int | date | None) -> str:
    return NULL if value is None else str(value)


def _hex(uuid: UUID | None) -> str:
    return "" if uuid is None else uuid.hex
