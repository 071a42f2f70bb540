"""Claw-back: a reduction that proved false leaves the books, and what is spent already is owed.

The activity's own grams and points go from its lot's available, then from her other lots, those
that expire soonest first; never from what is held. What is short is owed: points against points and
grams against grams, recovered from the next issues before anything else. So no balance ever becomes
negative, and none hides that it should be.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from service import clock
from service.bulk import array_of, insert_rows
from service.ledger.accounts import Accounts
from service.ledger.apportioning import LiveLot
from service.ledger.commitments import Placed
from service.ledger.errors import IssueUnknown
from service.ledger.postings import (
    POSTINGS,
    LotLine,
    Outcome,
    Terms,
    posting_conflict,
    posting_row,
)
from service.ledger.transfers import NewTransfer, derived_id, line_id, write_transfers
from service.pipelining import Connection

READ_ISSUES = """
SELECT encode(uuid_send(transfer.citizen_id), 'hex'), transfer.id, transfer.expires_on,
       transfer.points, transfer.reduction_g
FROM transfer JOIN unnest(%s::uuid[], %s::uuid[]) AS asked (citizen_id, id)
    ON transfer.citizen_id = asked.citizen_id AND transfer.id = asked.id
WHERE transfer.kind = 'issue'
"""

READ_DONE = """
SELECT encode(uuid_send(posting.citizen_id), 'hex'), posting.id, posting.kind, transfer.kind,
       transfer.expires_on, transfer.points, transfer.reduction_g
FROM posting JOIN unnest(%s::uuid[], %s::uuid[]) AS asked (citizen_id, id)
    ON posting.citizen_id = asked.citizen_id AND posting.id = asked.id
LEFT JOIN transfer ON transfer.citizen_id = posting.citizen_id
    AND transfer.of_id = posting.of_id AND transfer.posting_id = posting.id
ORDER BY posting.citizen_id, posting.id, transfer.line
"""

READ_LOTS = """
SELECT encode(uuid_send(citizen_id), 'hex'), expires_on, available_points, available_g
FROM lot
WHERE citizen_id = ANY(%s::uuid[]) AND expires_on >= %s
  AND (available_points > 0 OR available_g > 0)
ORDER BY citizen_id, expires_on
"""

OWE = """
UPDATE account SET owed_points = owed_points + owing.points, owed_g = owed_g + owing.reduction_g
FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[]) AS owing (citizen_id, points, reduction_g)
WHERE account.citizen_id = owing.citizen_id
"""


class Claim(NamedTuple):
    """An issue that should not have been; ids in hexadecimal."""

    citizen_id: str
    issue_id: str
    """The issue's transfer id, which is the activity's id."""


@dataclass(slots=True)
class _Purse:
    """What can be taken from one citizen, while several of her issues are invalidated."""

    lots: dict[date, LiveLot]

    def take(self, own: date, points: int, grams: int) -> list[LiveLot]:
        """Take from the issue's own lot, then from those that expire soonest."""
        taken = []
        for day in sorted(self.lots, key=lambda each: (each != own, each)):
            lot = self.lots[day]
            part = LiveLot(day, min(points, lot.points), min(grams, lot.reduction_g))
            if part.points or part.reduction_g:
                taken.append(part)
                self.lots[day] = LiveLot(
                    day, lot.points - part.points, lot.reduction_g - part.reduction_g
                )
                points -= part.points
                grams -= part.reduction_g
        return taken


def invalidation_id(issue_id: UUID) -> UUID:
    """Return the id of the one posting that can invalidate an issue."""
    return derived_id(b"invalidate", issue_id.bytes)


def invalidate(
    connection: Connection, accounts: Accounts, claims: Sequence[Claim]
) -> list[Outcome]:
    """Take back what issues gave, set-wise; an issue that was invalidated before is a repeat.

    Args:
        connection: inside the caller's transaction.
        accounts: of the claims' citizens, locked by it.
        claims: in the order in which they are dealt with; none twice.

    Raises:
        IssueUnknown: a citizen has no such issue.
        PostingConflict: something else was asked for under a claim's own id.
    """
    if not claims:
        return []
    done = _done_before(connection, claims)
    fresh = [claim for claim in claims if claim not in done]
    return _Invalidation(connection, accounts, fresh).carried_out(claims, done)


class _Invalidation:
    """The claims of one call that are new, on their way."""

    def __init__(
        self,
        connection: Connection,
        accounts: Accounts,
        claims: Sequence[Claim],
    ) -> None:
        self.connection = connection
        self.accounts = accounts
        self.claims = claims
        self.postings: list[tuple[str, ...]] = []
        self.transfers: list[NewTransfer] = []
        self.owed: dict[str, tuple[int, int]] = {}

    def carried_out(self, asked: Sequence[Claim], done: dict[Claim, Outcome]) -> list[Outcome]:
        issues = _issues(self.connection, self.claims)
        purses = _purses(self.connection, {claim.citizen_id for claim in self.claims})
        outcomes = dict(done)
        for claim in self.claims:
            if claim not in issues:
                raise IssueUnknown("There is no such issue to invalidate.")
            outcomes[claim] = self._invalidate(claim, issues[claim], purses[claim.citizen_id])
        self._write()
        return [outcomes[claim] for claim in asked]

    def _invalidate(self, claim: Claim, issue: LiveLot, purse: _Purse) -> Outcome:
        issue_id = UUID(hex=claim.issue_id)
        posting_id = invalidation_id(issue_id)
        taken = purse.take(issue.expires_on, issue.points, issue.reduction_g)
        terms = Terms("invalidate", issue.points, issue.reduction_g, of_id=issue_id)
        moved_at = self.accounts[claim.citizen_id].moved_at
        self.postings.append(posting_row(UUID(hex=claim.citizen_id), posting_id, terms, moved_at))
        self.transfers += [
            NewTransfer(
                claim.citizen_id,
                line_id(posting_id, line).hex,
                "invalidate",
                lot.expires_on.isoformat(),
                lot.points,
                lot.reduction_g,
                Placed(posting_id.hex, line, of_id=claim.issue_id),
            )
            for line, lot in enumerate(taken)
        ]
        self._owe(claim.citizen_id, issue, taken)
        return Outcome(posting_id, tuple(LotLine("invalidate", *lot) for lot in taken))

    def _owe(self, citizen_id: str, issue: LiveLot, taken: Sequence[LiveLot]) -> None:
        points, grams = self.owed.get(citizen_id, (0, 0))
        points += issue.points - sum(lot.points for lot in taken)
        grams += issue.reduction_g - sum(lot.reduction_g for lot in taken)
        self.owed[citizen_id] = points, grams

    def _write(self) -> None:
        insert_rows(self.connection, POSTINGS, self.postings)
        write_transfers(self.connection, self.accounts, self.transfers)
        _change_owed(self.connection, self.accounts, self.owed)


def _pairs(claims: Iterable[Claim], id_of: Any) -> tuple[str, str]:
    return (
        array_of(claim.citizen_id for claim in claims),
        array_of(id_of(claim) for claim in claims),
    )


def _issues(connection: Connection, claims: Sequence[Claim]) -> dict[Claim, LiveLot]:
    rows = connection.execute(READ_ISSUES, _pairs(claims, lambda claim: claim.issue_id)).fetchall()
    return {Claim(citizen, issue.hex): LiveLot(*lot) for citizen, issue, *lot in rows}


def _done_before(connection: Connection, claims: Sequence[Claim]) -> dict[Claim, Outcome]:
    claim_of = {
        (claim.citizen_id, invalidation_id(UUID(hex=claim.issue_id))): claim for claim in claims
    }
    pairs = (array_of(key[0] for key in claim_of), array_of(key[1].hex for key in claim_of))
    lines: dict[Claim, list[LotLine]] = defaultdict(list)
    for citizen, posting_id, asked, kind, *lot in connection.execute(READ_DONE, pairs).fetchall():
        if asked != "invalidate":
            raise posting_conflict("kind")
        found = lines[claim_of[citizen, posting_id]]
        if kind is not None:
            found.append(LotLine(kind, *lot))
    return {
        claim: Outcome(invalidation_id(UUID(hex=claim.issue_id)), tuple(found), is_repeat=True)
        for claim, found in lines.items()
    }


def _purses(connection: Connection, citizen_ids: Iterable[str]) -> dict[str, _Purse]:
    wanted = sorted(citizen_ids)
    purses = {citizen_id: _Purse({}) for citizen_id in wanted}
    rows = connection.execute(READ_LOTS, (array_of(wanted), clock.today())).fetchall()
    for citizen_id, *lot in rows:
        live = LiveLot(*lot)
        purses[citizen_id].lots[live.expires_on] = live
    return purses


# --- recovering -------------------------------------------------------------------------------


def recoveries(accounts: Accounts, issued: Iterable[NewTransfer]) -> Iterator[NewTransfer]:
    """Yield what issues give back of what their citizens owe, in the issues' order."""
    owed: dict[str, tuple[int, int]] = {}
    for issue in issued:
        account = accounts[issue.citizen_id]
        points, grams = owed.get(issue.citizen_id, (account.owed_points, account.owed_g))
        if points == 0 and grams == 0:
            continue
        back = min(points, issue.points), min(grams, issue.reduction_g)
        if back == (0, 0):
            continue
        owed[issue.citizen_id] = points - back[0], grams - back[1]
        yield NewTransfer(
            issue.citizen_id,
            derived_id(b"recover", bytes.fromhex(issue.id)).hex,
            "recover",
            issue.expires_on,
            *back,
            Placed(line=1, of_id=issue.id),
        )


def settle_owed(
    connection: Connection, accounts: Accounts, recovered: Sequence[NewTransfer]
) -> None:
    """Take what was recovered off what is owed."""
    owed: dict[str, tuple[int, int]] = {}
    for transfer in recovered:
        points, grams = owed.get(transfer.citizen_id, (0, 0))
        owed[transfer.citizen_id] = points - transfer.points, grams - transfer.reduction_g
    _change_owed(connection, accounts, owed)


def _change_owed(
    connection: Connection, accounts: Accounts, owed: dict[str, tuple[int, int]]
) -> None:
    changed = {citizen: change for citizen, change in owed.items() if change != (0, 0)}
    if changed:
        connection.execute(
            OWE,
            (
                array_of(changed),
                array_of(points for points, _ in changed.values()),
                array_of(grams for _, grams in changed.values()),
            ),
        )
        for citizen_id, change in changed.items():
            accounts.owe(citizen_id, *change)
