"""Intake: reported acts become verdicts, and certified ones become points, in one transaction.

The order is always the same, for one act or for thousands: judge each act by itself, lock the
citizens, look up what is known under the locks, decide in line order, write, issue. What is
answered is stored, and what is stored is answered the same when it is sent again.
"""

from collections.abc import Sequence
from uuid import UUID, uuid4

from service.activities.intake.candidates import Candidate, Source
from service.activities.intake.gathering import Gatherer
from service.activities.intake.lines import Line, OwnLine, Unreadable, name_in, read_line
from service.activities.intake.outcomes import Outcome, unstored
from service.activities.intake.parts import Feed, Part, Tools, judged
from service.activities.rules.rulebook import Shelf
from service.db import Database
from service.keys import KeyRing

BUCKETS = 8
"""Into so many parts a large feed is split, by citizen, each a transaction of its own.

Two feeds at the same time share citizens, and the second would wait for the first from the first
shared one on. Split by citizen they work on different buckets instead, and the rows of a bucket lie
side by side in every index. The order of one citizen's acts stays as it was.
"""

SPLIT_FROM = 1_000
"""Lines from which splitting pays."""

GATHERED_LINES_MAX = 8
"""A feed of so few lines shares its transaction with others of its source that come meanwhile."""

GATHERED_FEEDS_MAX = 64

SmallFeed = tuple[Feed, list[tuple[int, Line]]]


class Intake:
    """The desk at which acts are handed in; one for each process."""

    def __init__(self, database: Database, keys: KeyRing) -> None:
        self.tools = Tools(database, keys)
        self._gatherers: dict[tuple[Source, bool], Gatherer[SmallFeed]] = {}

    @property
    def shelf(self) -> Shelf:
        """Where the process keeps the rules in force."""
        return self.tools.shelf

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
        if len(readable) <= GATHERED_LINES_MAX:
            self._gatherer(source, simulated=simulated).do((feed, readable))
        elif len(readable) < SPLIT_FROM:
            Part(self.tools, feed).record([readable])
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
        Part(self.tools, feed).record_own(citizen_id, line)
        return feed.outcomes[0]

    def _gatherer(self, source: Source, *, simulated: bool) -> Gatherer[SmallFeed]:
        key = source, simulated
        gatherer = self._gatherers.get(key)
        if gatherer is None:
            # Two threads may both make one; the first that is stored serves both.
            made = Gatherer(self._record_together, GATHERED_FEEDS_MAX)
            gatherer = self._gatherers.setdefault(key, made)
        return gatherer

    def _record_together(self, small: Sequence[SmallFeed]) -> None:
        part = Part(self.tools, *(feed for feed, _ in small))
        part.record([readable for _, readable in small])

    def _record_split(self, feed: Feed, readable: Sequence[tuple[int, Line]]) -> None:
        """Record a large feed bucket by bucket, whichever is free first."""
        with self.tools.database.raw_transaction() as connection:
            candidates = judged(
                *(self.tools, feed.source, connection, readable, feed.outcomes),
                simulated=feed.simulated,
            )
        buckets: dict[int, list[Candidate]] = {}
        for candidate in candidates:
            bucket = int(candidate.citizen_id[0], 16) * BUCKETS // 16
            buckets.setdefault(bucket, []).append(candidate)
        # Feeds that arrive together begin at different places.
        order = sorted(buckets, key=lambda bucket: (bucket + feed.batch_id.int) % BUCKETS)
        if not order:
            Part(self.tools, feed).record([[]])
        while order:
            order.remove(Part(self.tools, feed).record_a_bucket(order, buckets))


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
            name = name_in(raw) if isinstance(raw, bytes) else None
            feed.outcomes.append(unstored(number, name, line))
    return readable


def _line_number(outcome: Outcome) -> int:
    return outcome.line
