"""A part of intake: what is decided and recorded in one transaction.

A part holds a bucket of one large feed, or several small feeds of one source that came together, or
one act that a citizen records herself.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from uuid import UUID

import msgspec
from psycopg import errors as pg

from service import clock
from service.activities.errors import CitizenNotActive
from service.activities.intake.candidates import Candidate, Examiner, Source
from service.activities.intake.deciding import answers_to, ask_known, decide, sort_out
from service.activities.intake.lines import Line, OwnLine, Unreadable
from service.activities.intake.neighbours import ask_neighbours, neighbourhoods
from service.activities.intake.outcomes import Outcome, unstored
from service.activities.intake.recording import Recorder
from service.activities.rules.rulebook import Shelf
from service.bulk import COPY_FROM, array_of
from service.db import Database
from service.identity.source_links import account_digester, holder_at, holders_of
from service.keys import KeyRing
from service.ledger.accounts import Accounts, lock_accounts
from service.pipelining import Connection
from service.retries import retried

BUCKET_LOCKS = 7305807
"""Advisory lock space: only to choose a bucket nobody works on; nothing depends on it."""

LOST_RACES = (pg.DeadlockDetected, pg.UniqueViolation)
"""A deadlock or a repeat that came in between undoes the part, which then is done once more."""

FEED_SPAN = 1 << 20
"""More than a feed has lines: with it, feeds of one part number their lines apart."""

LINK_MISSING = Unreadable("source-link-missing", {})

CHOOSE_BUCKET = """
SELECT bucket FROM unnest(%s::int[]) AS bucket
WHERE pg_try_advisory_xact_lock(%s, bucket) LIMIT 1
"""

READ_STATE = "SELECT state FROM citizen WHERE citizen_id = %s"

COUNT_PARTS = """
INSERT INTO activity_batch (id, part, source_id, received, verdicts, reduction_g, points, simulated)
SELECT id, part, %s, received, verdicts::json, reduction_g, points, simulated
FROM unnest(%s::uuid[], %s::int[], %s::int[], %s::text[], %s::bigint[], %s::bigint[], %s::bool[])
    AS counted (id, part, received, verdicts, reduction_g, points, simulated)
"""


@dataclass(slots=True)
class Feed:
    """One feed on its way through intake, and what it has come to so far."""

    batch_id: UUID
    source: Source
    simulated: bool = False
    outcomes: list[Outcome] = field(default_factory=list)
    parts: int = 0


@dataclass(slots=True)
class Tools:
    """What every part works with; one set for each process."""

    database: Database
    keys: KeyRing
    shelf: Shelf = field(default_factory=Shelf)
    known_bases: set[str] = field(default_factory=set)


def judged(
    tools: Tools,
    source: Source,
    connection: Connection,
    lines: Sequence[tuple[int, Line]],
    answers: list[Outcome],
    *,
    simulated: bool,
) -> list[Candidate]:
    """Return the acts whose account is held by an active link, each judged by itself.

    What is no activity is answered at once, into `answers`.
    """
    assert source.id is not None  # noqa: S101  a feed has a source
    digest_of = account_digester(tools.keys, source.id)
    digests = [digest_of(line.account_ref) for _, line in lines]
    holders = holders_of(connection, source.id, list(set(digests)))
    examiner = Examiner(source, tools.shelf.rulebook(connection), clock.now())
    candidates: list[Candidate] = []
    for (number, line), digest in zip(lines, digests, strict=True):
        span = holder_at(holders.get(digest, ()), line.started_at)
        if span is None or span.ended_at is not None:
            answers.append(unstored(number, line.external_id, LINK_MISSING))
            continue
        found = examiner.candidate(
            number,
            line,
            span.citizen_id.hex,
            account_digest=digest.hex(),
            is_frozen=span.frozen,
            simulated=span.simulated or simulated,
        )
        if isinstance(found, Candidate):
            candidates.append(found)
        else:
            answers.append(unstored(number, line.external_id, found))
    return candidates


def require_active(connection: Connection, citizen_id: UUID) -> None:
    """Refuse the records of a citizen who has left or whose account is frozen."""
    row = connection.execute(READ_STATE, [citizen_id]).fetchone()
    state = row[0] if row else "unknown"
    if state != "active":
        raise CitizenNotActive(
            "Your account is {state} and takes no records at present.", state=state
        )


class Part:
    """Decides and records in one transaction."""

    def __init__(self, tools: Tools, *feeds: Feed) -> None:
        """Prepare a part.

        Args:
            tools: of the process.
            feeds: of one source, all simulated or none; more than one only if they are small.
        """
        self.tools = tools
        self.feeds = feeds
        self.source = feeds[0].source
        self.simulated = feeds[0].simulated
        self.outcomes: list[Outcome] = []
        self.bases: set[str] = set()

    def record(self, lines_of: Sequence[Sequence[tuple[int, Line]]]) -> None:
        """Record small feeds, who holds their accounts included.

        Args:
            lines_of: for each feed its lines that can be read, with their numbers.
        """
        lines = [
            (place * FEED_SPAN + number, line)
            for place, numbered in enumerate(lines_of)
            for number, line in numbered
        ]

        def work(connection: Connection) -> None:
            candidates = judged(
                self.tools, self.source, connection, lines, self.outcomes, simulated=self.simulated
            )
            self._record(connection, candidates)

        self._committed(work, is_small=len(lines) < COPY_FROM)

    def record_a_bucket(
        self, order: Sequence[int], buckets: Mapping[int, Sequence[Candidate]]
    ) -> int:
        """Record the first bucket nobody else works on, and return which it was."""
        chosen = order[0]

        def work(connection: Connection) -> None:
            nonlocal chosen
            row = connection.execute(CHOOSE_BUCKET, (list(order), BUCKET_LOCKS)).fetchone()
            chosen = row[0] if row else order[0]
            self._record(connection, buckets[chosen])

        self._committed(work, is_small=False)
        return chosen

    def record_own(self, citizen_id: UUID, line: OwnLine) -> None:
        """Record one act that the citizen reports herself."""

        def work(connection: Connection) -> None:
            rulebook = self.tools.shelf.rulebook(connection)
            examiner = Examiner(self.source, rulebook, clock.now())
            found = examiner.candidate(1, line, citizen_id.hex)
            if isinstance(found, Unreadable):
                self.outcomes.append(unstored(1, line.external_id, found))
            # Leaving and freezing change what waits under the same lock; she may just have left.
            lock_accounts(connection, [citizen_id.hex])
            require_active(connection, citizen_id)
            self._record(connection, [found] if isinstance(found, Candidate) else [])

        self._committed(work, is_small=True)

    def _committed(self, work: Callable[[Connection], None], *, is_small: bool) -> None:
        """Do the work in one transaction; when two feeds meet, once more from the start.

        A few lines share their round trips; a crowd goes by COPY, which cannot.
        """

        def once() -> None:
            self.outcomes, self.bases = [], set()
            with self._transaction(is_small=is_small) as connection:
                work(connection)

        retried(once, after=LOST_RACES)
        self.tools.known_bases |= self.bases
        self._hand_out()

    def _transaction(self, *, is_small: bool) -> AbstractContextManager[Connection]:
        database = self.tools.database
        return database.pipelined_transaction() if is_small else database.raw_transaction()

    def _record(self, connection: Connection, candidates: Sequence[Candidate]) -> None:
        """Decide under the citizens' locks, write and issue."""
        if candidates:
            citizens = [candidate.citizen_id for candidate in candidates]
            accounts = lock_accounts(connection, citizens)
            candidates = self._still_linked(connection, candidates)
            # Both questions are on their way before the first answer is waited for.
            known = ask_known(connection, candidates)
            neighbours = ask_neighbours(connection, candidates)
            candidates = self._still_there(accounts, candidates)
            found = sort_out(connection, known, candidates)
            hoods = neighbourhoods(neighbours)
            fresh = list(found.fresh.values())
            decided = decide(connection, self.tools.keys, self.source, fresh, hoods)
            batch_ids = [feed.batch_id.hex for feed in self.feeds]
            recorder = Recorder(
                connection, accounts, self.source, lambda line: batch_ids[line // FEED_SPAN]
            )
            self.bases = recorder.write(decided, self.tools.known_bases)
            self.outcomes += found.known
            self.outcomes += answers_to(decided, found.again)
        self._count(connection)

    def _still_linked(
        self, connection: Connection, candidates: Sequence[Candidate]
    ) -> Sequence[Candidate]:
        """Leave out acts that would wait and whose link was ended since it was read.

        Ending a link withdraws what waits, under the same lock; whoever comes second must see it.
        """
        source = self.source
        if source.id is None or source.delay_days == 0:
            return candidates
        digests = {bytes.fromhex(each.account_digest or "") for each in candidates}
        holders = holders_of(connection, source.id, list(digests))
        linked: list[Candidate] = []
        for each in candidates:
            spans = holders.get(bytes.fromhex(each.account_digest or ""), ())
            span = holder_at(spans, each.started_at)
            if span is not None and span.ended_at is None:
                linked.append(each)
            else:
                self.outcomes.append(unstored(each.line, each.external_id, LINK_MISSING))
        return linked

    def _still_there(
        self, accounts: Accounts, candidates: Sequence[Candidate]
    ) -> Sequence[Candidate]:
        """Leave out the acts of who was erased since her link was read.

        An erasure blots her secret out under the lock of her account, and then deletes: what was
        written before it goes as well, and what comes after must not be written.
        """
        erased = accounts.erased()
        if not erased:
            return candidates
        self.outcomes += [
            unstored(each.line, each.external_id, LINK_MISSING)
            for each in candidates
            if each.citizen_id in erased
        ]
        return [each for each in candidates if each.citizen_id not in erased]

    def _hand_out(self) -> None:
        """Give each feed the answers to its lines."""
        if len(self.feeds) == 1:
            self.feeds[0].outcomes += self.outcomes
        else:
            for outcome in self.outcomes:
                place, number = divmod(outcome.line, FEED_SPAN)
                self.feeds[place].outcomes.append(outcome._replace(line=number))
        for feed in self.feeds:
            feed.parts += 1

    def _count(self, connection: Connection) -> None:
        """Keep what became of each feed's lines, also of those that are not stored.

        Those that were answered before any part was recorded are counted with the first.
        """
        rows = [self._counts_of(place, feed) for place, feed in enumerate(self.feeds)]
        ids, parts, received, verdicts, grams, points, simulated = zip(*rows, strict=True)
        connection.execute(
            COUNT_PARTS,
            (
                self.source.id,
                *(array_of(ids), array_of(parts), array_of(received), list(verdicts)),
                *(array_of(grams), array_of(points), list(simulated)),
            ),
        )

    def _counts_of(self, place: int, feed: Feed) -> tuple[str, int, int, str, int, int, bool]:
        outcomes = self.outcomes
        if len(self.feeds) > 1:
            outcomes = [each for each in outcomes if each.line // FEED_SPAN == place]
        if not feed.parts:
            outcomes = [*feed.outcomes, *outcomes]
        counts = Counter([outcome.verdict for outcome in outcomes])
        codes = [each.code for each in outcomes if each.code and each.code != each.verdict]
        counts.update(codes)
        certified = [outcome for outcome in outcomes if outcome.verdict == "certified"]
        return (
            feed.batch_id.hex,
            feed.parts,
            len(outcomes),
            msgspec.json.encode(counts).decode(),
            sum([outcome.reduction_g or 0 for outcome in certified]),
            sum([outcome.points or 0 for outcome in certified]),
            feed.simulated,
        )
