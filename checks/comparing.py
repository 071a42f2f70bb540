"""Comparing what was answered with what is stored: nothing missing, nothing twice."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import psycopg

from checks.books import Books
from checks.operations import Feed, Operation, Posting
from checks.verdict import Verdict

RESOLVE_WITHIN_S: Final = 20.0
AT_ONCE: Final = 8
AGAIN_EVERY: Final = 20
"""One in so many of the acknowledged ones is sent again as well: the answer may not change."""

POSTED: Final = """
SELECT posting.id, coalesce(sum(transfer.points), 0)::bigint
FROM posting LEFT JOIN transfer
    ON transfer.citizen_id = posting.citizen_id AND transfer.posting_id = posting.id
GROUP BY posting.citizen_id, posting.id
"""

RECORDED: Final = """
SELECT activity.external_id, count(*) FROM activity
JOIN transfer ON transfer.citizen_id = activity.citizen_id AND transfer.id = activity.id
WHERE transfer.kind = 'issue' GROUP BY activity.external_id
"""


@dataclass
class Differences:
    """How answers and books differ."""

    missing: int = 0
    doubled: int = 0
    sentences: list[str] = field(default_factory=list)

    def compare(self, what: str, answered: int, stored: int) -> None:
        """Note one difference, if it is one."""
        if stored < answered:
            self.missing += 1
        elif stored > answered:
            self.doubled += 1
        else:
            return
        self.sentences.append(f"{what}: answered {answered}, stored {stored}")


def resolve(operations: Sequence[Operation], verdict: Verdict) -> None:
    """Send what is unknown again under the same id, and some of the rest, until all is known."""
    deadline = time.monotonic() + RESOLVE_WITHIN_S
    unknown = [each for each in operations if each.answer is None and not each.error]
    known = [each for each in operations if each.answer is not None]
    verdict.count("unknown, sent again", len(unknown))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while unknown and time.monotonic() < deadline:
            list(pool.map(Operation.send, unknown))
            unknown = [each for each in unknown if each.answer is None and not each.error]
        list(pool.map(Operation.send, known[::AGAIN_EVERY]))
    verdict.count("acknowledged, sent again", len(known[::AGAIN_EVERY]))
    verdict.count("unknown for good", len(unknown))
    verdict.require(not unknown, f"{len(unknown)} outcomes stay unknown")
    verdict.faults += [each.error for each in operations if each.error]


def differences(
    connection: psycopg.Connection[Any], operations: Sequence[Operation]
) -> Differences:
    """Compare every acknowledged operation, and every citizen's sums, with one snapshot."""
    found = Differences()
    books = Books(connection)
    posted = dict(connection.execute(POSTED).fetchall())
    recorded = dict(connection.execute(RECORDED).fetchall())
    for operation in operations:
        if operation.answer is None:
            continue
        request, effects = operation.request, operation.answer.effects
        if isinstance(request, Posting):
            stored = posted.get(request.id, -1)
            found.compare(f"{request.what} {request.id}", sum(e.points for e in effects), stored)
        elif isinstance(request, Feed):
            for name in request.names:
                found.compare(f"act {name}", 1, recorded.get(name, 0))
    for citizen_id, place, answered, stored in _sums(books, operations):
        found.compare(f"{place} of {citizen_id}", answered, stored)
    found.sentences += books.faults()
    return found


def _sums(books: Books, operations: Sequence[Operation]) -> Iterator[tuple[UUID, str, int, int]]:
    """Yield what each citizen should have in each place, and has."""
    expected: dict[UUID, Counter[str]] = defaultdict(Counter)
    for operation in operations:
        for effect in operation.answer.effects if operation.answer else ():
            sign = 1 if effect.source == "issued" else -1
            expected[effect.citizen_id][effect.source] += sign * effect.points
            expected[effect.citizen_id][effect.target] += effect.points
    totals = books.totals()
    for citizen_id, places in expected.items():
        stored = totals.get(citizen_id, Counter())
        for place in ("issued", "held", "redeemed", "retired", "pooled"):
            yield citizen_id, place, places[place], stored[f"{place}_points"]
