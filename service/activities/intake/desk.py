"""Intake: reported acts become verdicts, and certified ones become points, in one transaction.

The order is always the same, for one act or for thousands: judge each act by itself, lock the
citizens, look up what is known under the locks, decide in line order, write, issue. What is
answered is stored, and what is stored is answered the same when it is sent again.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
from psycopg import errors as pg

from service import clock
from service.activities.intake.candidates import Candidate, Examiner, Source
from service.activities.intake.deciding import answers_to, ask_known, decide, sort_out
from service.activities.intake.lines import Line, OwnLine, Unreadable, read_line
from service.activities.intake.neighbours import ask_neighbours, neighbourhoods
from service.activities.intake.outcomes import Outcome, unstored
from service.activities.intake.recording import Recorder
from service.activities.rules.rulebook import Shelf
from service.bulk import COPY_FROM
from service.db import Database
from service.identity.source_links import account_digester, holder_at, holders_of
from service.keys import KeyRing
from service.ledger.accounts import lock_accounts

BUCKETS = 8
"""Into so many parts a large feed is split, by citizen, each a transaction of its own.

Two feeds at the same time share citizens, and the second would wait for the first from the first
shared one on. Split by citizen they work on different buckets instead, and the rows of a bucket lie
side by side in every index. The order of one citizen's acts stays as it was.
"""

SPLIT_FROM = 1_000
"""Lines from which splitting pays."""

BUCKET_LOCKS = 7305807
"""Advisory lock space: only to choose a bucket nobody works on; nothing depends on it."""

TRIES = 4
"""A deadlock or a repeat that came in between undoes the part, which then is done once more."""

LINK_MISSING = Unreadable("source-link-missing", {})

CHOOSE_BUCKET = """
SELECT bucket FROM unnest(%s::int[]) AS bucket
WHERE pg_try_advisory_xact_lock(%s, bucket) LIMIT 1
"""

COUNT_PART = """
INSERT INTO activity_batch (id, part, source_id, received, verdicts, reduction_g, points, simulated)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
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
class Intake:
    """The desk at which acts are handed in; one for each process."""

    database: Database
    keys: KeyRing
    shelf: Shelf = field(default_factory=Shelf)
    known_bases: set[str] = field(default_factory=set)

    def record_feed(
        self, source: Source, lines: Sequence[bytes | Unreadable], *, simulated: bool = False
    ) -> Feed:
        """Record a source's feed.

        Args:
            source: who reports; its `id` is set.
            lines: the feed's lines without line ends; blank ones are passed over.
            simulated: marks everything recorded as no real person's.

        Returns:
            One outcome for each line that is not blank, in line order.
        """
        feed = Feed(uuid4(), source, simulated)
        readable = _read_lines(feed, lines)
        if len(readable) < SPLIT_FROM:
            _Part(self, feed).record(readable)
        else:
            self._record_split(feed, readable)
        feed.outcomes.sort(key=_line_number)
        return feed

    def record_own(self, source: Source, citizen_id: UUID, line: OwnLine) -> Outcome:
        """Record an act that a citizen reports herself, through the same checks.

        Returns:
            Its outcome; an unreadable one has no activity id.
        """
        feed = Feed(uuid4(), source)
        _Part(self, feed).record_own(citizen_id, line)
        return feed.outcomes[0]

    def _record_split(self, feed: Feed, readable: Sequence[tuple[int, Line]]) -> None:
        """Record a large feed bucket by bucket, whichever is free first."""
        with self.database.raw_transaction() as connection:
            candidates = judged(self, feed, connection, readable, feed.outcomes)
        buckets: dict[int, list[Candidate]] = {}
        for candidate in candidates:
            bucket = int(candidate.citizen_id[0], 16) * BUCKETS // 16
            buckets.setdefault(bucket, []).append(candidate)
        # Feeds that arrive together begin at different places.
        order = sorted(buckets, key=lambda bucket: (bucket + feed.batch_id.int) % BUCKETS)
        if not order:
            _Part(self, feed).record([])
        while order:
            order.remove(_Part(self, feed).record_a_bucket(order, buckets))


def _read_lines(feed: Feed, lines: Sequence[bytes | Unreadable]) -> list[tuple[int, Line]]:
    """Return what can be read, numbered from 1, and answer the rest."""
    readable: list[tuple[int, Line]] = []
    for number, raw in enumerate(lines, 1):
        if not raw:
            continue
        line = read_line(raw) if isinstance(raw, bytes) else raw
        if isinstance(line, Line):
            readable.append((number, line))
        else:
            feed.outcomes.append(unstored(number, None, line))
    return readable


def judged(
    intake: Intake,
    feed: Feed,
    connection: psycopg.Connection[Any],
    lines: Sequence[tuple[int, Line]],
    answers: list[Outcome],
) -> list[Candidate]:
    """Return the acts whose account is held by an active link, each judged by itself.

    What is no activity is answered at once, into `answers`.
    """
    source_id = feed.source.id
    assert source_id is not None  # noqa: S101  a feed has a source
    digest_of = account_digester(intake.keys, source_id)
    digests = [digest_of(line.account_ref) for _, line in lines]
    holders = holders_of(connection, source_id, list(set(digests)))
    examiner = Examiner(feed.source, intake.shelf.rulebook(connection), clock.now())
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
            simulated=span.simulated or feed.simulated,
        )
        if isinstance(found, Candidate):
            candidates.append(found)
        else:
            answers.append(unstored(number, line.external_id, found))
    return candidates


class _Part:
    """A part of a feed: decided and recorded in one transaction."""

    def __init__(self, intake: Intake, feed: Feed) -> None:
        self.intake = intake
        self.feed = feed
        self.outcomes: list[Outcome] = []
        self.bases: set[str] = set()

    def record(self, lines: Sequence[tuple[int, Line]]) -> None:
        """Record a few of a source's lines, who holds their accounts included."""

        def work(connection: psycopg.Connection[Any]) -> None:
            candidates = judged(self.intake, self.feed, connection, lines, self.outcomes)
            self._record(connection, candidates)

        self._committed(work, is_small=len(lines) < COPY_FROM)

    def record_a_bucket(
        self, order: Sequence[int], buckets: Mapping[int, Sequence[Candidate]]
    ) -> int:
        """Record the first bucket nobody else works on, and return which it was."""
        chosen = order[0]

        def work(connection: psycopg.Connection[Any]) -> None:
            nonlocal chosen
            row = connection.execute(CHOOSE_BUCKET, (list(order), BUCKET_LOCKS)).fetchone()
            chosen = row[0] if row else order[0]
            self._record(connection, buckets[chosen])

        self._committed(work, is_small=False)
        return chosen

    def record_own(self, citizen_id: UUID, line: OwnLine) -> None:
        """Record one act that the citizen reports herself."""

        def work(connection: psycopg.Connection[Any]) -> None:
            rulebook = self.intake.shelf.rulebook(connection)
            examiner = Examiner(self.feed.source, rulebook, clock.now())
            found = examiner.candidate(1, line, citizen_id.hex)
            if isinstance(found, Unreadable):
                self.outcomes.append(unstored(1, line.external_id, found))
            self._record(connection, [found] if isinstance(found, Candidate) else [])

        self._committed(work, is_small=True)

    def _committed(
        self, work: Callable[[psycopg.Connection[Any]], None], *, is_small: bool
    ) -> None:
        """Do the work in one transaction; when two feeds meet, once more from the start.

        A few lines share their round trips in a pipeline; a crowd goes by COPY, which cannot.
        """
        for attempt in range(1, TRIES + 1):
            self.outcomes = []
            try:
                with (
                    self.intake.database.raw_transaction() as connection,
                    connection.pipeline() if is_small else nullcontext(),
                ):
                    work(connection)
            except (pg.DeadlockDetected, pg.UniqueViolation):
                # Under the locks of the next try each of the two sees what the other did.
                if attempt == TRIES:
                    raise
            else:
                break
        self.intake.known_bases |= self.bases
        self.feed.outcomes += self.outcomes
        self.feed.parts += 1

    def _record(self, connection: psycopg.Connection[Any], candidates: Sequence[Candidate]) -> None:
        """Decide under the citizens' locks, write and issue."""
        if candidates:
            lock_accounts(connection, [candidate.citizen_id for candidate in candidates])
            candidates = self._still_linked(connection, candidates)
            # Both questions are on their way before the first answer is waited for.
            known = ask_known(connection, candidates)
            neighbours = ask_neighbours(connection, candidates)
            found = sort_out(known, candidates)
            hoods = neighbourhoods(neighbours)
            fresh = list(found.fresh.values())
            decided = decide(connection, self.intake.keys, self.feed.source, fresh, hoods)
            recorder = Recorder(connection, self.feed.source, self.feed.batch_id)
            self.bases = recorder.write(decided, self.intake.known_bases)
            self.outcomes += found.known
            self.outcomes += answers_to(decided, found.again)
        self._count(connection)

    def _still_linked(
        self, connection: psycopg.Connection[Any], candidates: Sequence[Candidate]
    ) -> Sequence[Candidate]:
        """Leave out acts that would wait and whose link was ended since it was read.

        Ending a link withdraws what waits, under the same lock; whoever comes second must see it.
        """
        source = self.feed.source
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

    def _count(self, connection: psycopg.Connection[Any]) -> None:
        """Keep what became of the part's lines, also of those that are not stored.

        Those that were answered before any part was recorded are counted with the first.
        """
        feed = self.feed
        outcomes = self.outcomes if feed.parts else [*feed.outcomes, *self.outcomes]
        counts = Counter([outcome.verdict for outcome in outcomes])
        codes = [each.code for each in outcomes if each.code and each.code != each.verdict]
        counts.update(codes)
        certified = [outcome for outcome in outcomes if outcome.verdict == "certified"]
        connection.execute(
            COUNT_PART,
            (
                feed.batch_id,
                feed.parts,
                feed.source.id,
                len(outcomes),
                msgspec.json.encode(counts).decode(),
                sum([outcome.reduction_g or 0 for outcome in certified]),
                sum([outcome.points or 0 for outcome in certified]),
                feed.simulated,
            ),
        )


def _line_number(outcome: Outcome) -> int:
    return outcome.line
