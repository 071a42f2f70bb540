"""Intake: reported acts become verdicts, and certified ones become points, in one transaction.

The order is always the same, for one act or for thousands: judge each act by itself, lock the
citizens, look up what is known under the locks, decide in line order, write, issue. A part of a
feed is a transaction of its own, so that no transaction lasts long and what is answered is stored.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import msgspec
import psycopg
from psycopg import errors as pg

from service import clock
from service.activities.candidates import SELF_RECORDED, Candidate, Examiner, Source
from service.activities.claims import Claims
from service.activities.lines import Line, OwnLine, Unreadable, read_line
from service.activities.neighbours import (
    Neighbourhood,
    read_excluding_behaviors,
    read_neighbours,
)
from service.activities.recording import Decided, Recorder
from service.activities.rulebook import Shelf
from service.bulk import COPY_FROM, array_of
from service.db import Database
from service.identity.source_links import account_digest, holder_at, holders_of
from service.keys import KeyRing
from service.ledger.accounts import lock_accounts
from service.methodologies import exclusion_for
from service.methodologies.reasons import Reason

PART_LINES = 2_500
"""Lines in one transaction: more would only hold the citizens' locks for longer."""

TRIES = 4
"""A deadlock or a lock wait undoes the whole part, which then is done again from the beginning."""

READ_KNOWN = """
SELECT replace(a.id::text, '-', ''), replace(a.citizen_id::text, '-', ''),
       encode(a.evidence_digest, 'hex'), a.verdict, a.code, a.params, a.reduction_g, a.points
FROM unnest(%s::uuid[], %s::uuid[]) AS asked (citizen_id, id)
JOIN activity a ON a.citizen_id = asked.citizen_id AND a.id = asked.id
"""

LINK_MISSING = Unreadable("source-link-missing", {})
FROZEN = Reason("account-frozen", {})

COUNT_PART = """
INSERT INTO activity_batch (id, part, source_id, received, verdicts, reduction_g, points, simulated)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""


class Outcome(NamedTuple):
    """The verdict on one line."""

    line: int
    external_id: str | None
    verdict: str
    code: str | None = None
    params: dict[str, Any] | None = None
    activity_id: str | None = None
    reduction_g: int | None = None
    points: int | None = None
    first_verdict: str | None = None


class Known(NamedTuple):
    """What was recorded under a key before."""

    citizen_id: str
    evidence_digest: str
    verdict: str
    code: str | None
    params: dict[str, Any] | None
    reduction_g: int
    points: int


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
        numbered = [(number, line) for number, line in enumerate(lines, 1) if line]
        for start in range(0, len(numbered), PART_LINES):
            part = _Part(self, feed, numbered[start : start + PART_LINES])
            part.record()
        return feed

    def record_own(self, source: Source, citizen_id: UUID, line: OwnLine) -> Outcome:
        """Record an act that a citizen reports herself, through the same checks.

        Returns:
            Its outcome; an unreadable one has no activity id.
        """
        feed = Feed(uuid4(), source)
        _Part(self, feed).record_own(citizen_id, line)
        return feed.outcomes[0]


class _Part:
    """A part of a feed: read, judged and recorded in one transaction."""

    def __init__(
        self, intake: Intake, feed: Feed, numbered: Sequence[tuple[int, bytes | Unreadable]] = ()
    ) -> None:
        self.intake = intake
        self.feed = feed
        self.numbered = numbered
        self.outcomes: list[Outcome] = []
        self.bases: set[str] = set()

    def record(self) -> None:
        """Record a source's lines."""
        read = [
            (number, read_line(line) if isinstance(line, bytes) else line)
            for number, line in self.numbered
        ]
        lines = [(number, line) for number, line in read if isinstance(line, Line)]
        flaws = [
            unstored(number, None, line) for number, line in read if isinstance(line, Unreadable)
        ]
        self._recorded(lambda connection: self._candidates(connection, lines), flaws)

    def record_own(self, citizen_id: UUID, line: OwnLine) -> None:
        """Record one act that the citizen reports herself."""

        def judge(connection: psycopg.Connection[Any]) -> list[Candidate]:
            examiner = self._examiner(connection)
            found = examiner.candidate(1, line, citizen_id.hex)
            return self._readable([(1, line.external_id, found)])

        self._recorded(judge, [])

    def _recorded(
        self,
        judge: Callable[[psycopg.Connection[Any]], list[Candidate]],
        flaws: Sequence[Outcome],
    ) -> None:
        """Judge and record in one transaction; when two feeds meet, once more from the start."""
        for attempt in range(1, TRIES + 1):
            self.outcomes = list(flaws)
            try:
                with self.intake.database.raw_transaction() as connection, self._mode(connection):
                    self._record(connection, judge(connection))
            except (pg.DeadlockDetected, pg.UniqueViolation):
                # Under the locks of the next try each of the two sees what the other did.
                if attempt == TRIES:
                    raise
            else:
                break
        self.intake.known_bases |= self.bases
        self.feed.outcomes += sorted(self.outcomes, key=_line_number)
        self.feed.parts += 1

    def _mode(self, connection: psycopg.Connection[Any]) -> AbstractContextManager[object]:
        """A few lines share their round trips; a crowd goes by COPY, which cannot."""
        return connection.pipeline() if len(self.numbered) < COPY_FROM else nullcontext()

    def _examiner(self, connection: psycopg.Connection[Any]) -> Examiner:
        return Examiner(self.feed.source, self.intake.shelf.rulebook(connection), clock.now())

    def _candidates(
        self, connection: psycopg.Connection[Any], lines: Sequence[tuple[int, Line]]
    ) -> list[Candidate]:
        """Return the acts whose account is held by an active link, each judged by itself."""
        source_id = self.feed.source.id
        assert source_id is not None  # noqa: S101  a feed has a source
        keys = self.intake.keys
        digests = [account_digest(keys, source_id, line.account_ref) for _, line in lines]
        holders = holders_of(connection, source_id, list(set(digests)))
        examiner = self._examiner(connection)
        found: list[tuple[int, str, Candidate | Unreadable]] = []
        for (number, line), digest in zip(lines, digests, strict=True):
            span = holder_at(holders.get(digest, ()), line.started_at)
            judged: Candidate | Unreadable = LINK_MISSING
            if span is not None and span.ended_at is None:
                judged = examiner.candidate(
                    number,
                    line,
                    span.citizen_id.hex,
                    account_digest=digest.hex(),
                    is_frozen=span.frozen,
                    simulated=span.simulated or self.feed.simulated,
                )
            found.append((number, line.external_id, judged))
        return self._readable(found)

    def _readable(
        self, judged: Sequence[tuple[int, str, Candidate | Unreadable]]
    ) -> list[Candidate]:
        """Answer what is no activity, and return the rest."""
        self.outcomes += [
            unstored(number, external_id, each)
            for number, external_id, each in judged
            if isinstance(each, Unreadable)
        ]
        return [each for _, _, each in judged if isinstance(each, Candidate)]

    def _record(self, connection: psycopg.Connection[Any], candidates: Sequence[Candidate]) -> None:
        """Decide under the citizens' locks, write and issue."""
        if candidates:
            lock_accounts(connection, [candidate.citizen_id for candidate in candidates])
            fresh = self._without_known(connection, candidates)
            decided = self._decided(connection, fresh)
            recorder = Recorder(connection, self.feed.source, self.feed.batch_id)
            self.bases = recorder.write(decided, self.intake.known_bases)
            self._answer(decided)
        self._count(connection)

    def _without_known(
        self, connection: psycopg.Connection[Any], candidates: Sequence[Candidate]
    ) -> list[Candidate]:
        """Answer repeats and contradictions of what is recorded; return what is new."""
        rows = connection.execute(
            READ_KNOWN,
            (
                array_of(candidate.citizen_id for candidate in candidates),
                array_of(candidate.activity_id for candidate in candidates),
            ),
        )
        known = {row[0]: Known(*row[1:]) for row in rows}
        fresh: dict[str, Candidate] = {}
        repeats: list[Candidate] = []
        for candidate in candidates:
            before = known.get(candidate.activity_id)
            if before is not None:
                self.outcomes.append(repeated(candidate, before))
            elif candidate.activity_id in fresh:
                repeats.append(candidate)
            else:
                fresh[candidate.activity_id] = candidate
        self.twice = [(candidate, fresh[candidate.activity_id]) for candidate in repeats]
        return list(fresh.values())

    def _decided(self, connection: psycopg.Connection[Any], fresh: Sequence[Candidate]) -> Decided:
        """Give each new act its verdict, in line order."""
        hoods = read_neighbours(connection, fresh)
        others = read_excluding_behaviors(connection, fresh)
        claims = self._claims(connection, fresh)
        decided = Decided()
        for candidate in fresh:
            hood = hoods[candidate.citizen_id]
            reason = (
                candidate.reason
                or exclusion(candidate, others)
                or claims.refusal(candidate)
                or hood.cap_reached(candidate)
                or self._overlap(candidate, hood, decided)
            )
            if reason is not None:
                decided.refused.append((candidate, reason))
                continue
            is_pending = candidate.is_frozen or self.feed.source.delay_days != 0
            hood.add(candidate, is_pending=is_pending, is_self_recorded=self._is_self_recorded)
            if is_pending:
                why = FROZEN if candidate.is_frozen else None
                decided.pending.append((candidate, why))
            else:
                decided.certified.append(candidate)
        claims.give_back(connection, [candidate for candidate, _ in decided.refused])
        return decided

    @property
    def _is_self_recorded(self) -> bool:
        return self.feed.source.tier == SELF_RECORDED

    def _overlap(
        self, candidate: Candidate, hood: Neighbourhood, decided: Decided
    ) -> Reason | None:
        """Refuse a trip beside another one, unless it is better vouched for and theirs waits."""
        others = hood.overlapping(candidate)
        if not others:
            return None
        if self._is_self_recorded or not all(
            other.is_pending and other.is_self_recorded for other in others
        ):
            return Reason("overlap", {})
        for other in others:
            decided.superseded.append((candidate, other))
            hood.remove(other.activity_id)
        return None

    def _claims(self, connection: psycopg.Connection[Any], fresh: Sequence[Candidate]) -> Claims:
        asking = [each for each in fresh if each.reason is None]
        return Claims.taken(connection, self.intake.keys, asking)

    def _answer(self, decided: Decided) -> None:
        outcomes = [outcome_of(candidate, "certified", None) for candidate in decided.certified]
        outcomes += [outcome_of(each, "pending", reason) for each, reason in decided.pending]
        outcomes += [outcome_of(each, "refused", reason) for each, reason in decided.refused]
        self.outcomes += outcomes
        if self.twice:
            first = {outcome.activity_id: outcome for outcome in outcomes}
            self.outcomes += [
                repeated_here(again, before, first[before.activity_id])
                for again, before in self.twice
            ]

    def _count(self, connection: psycopg.Connection[Any]) -> None:
        """Keep what became of the part's lines, also of those that are not stored."""
        counts = Counter(outcome.verdict for outcome in self.outcomes)
        counts.update(outcome.code for outcome in self.outcomes if outcome.code is not None)
        certified = [outcome for outcome in self.outcomes if outcome.verdict == "certified"]
        connection.execute(
            COUNT_PART,
            (
                self.feed.batch_id,
                self.feed.parts,
                self.feed.source.id,
                len(self.outcomes),
                msgspec.json.encode(counts).decode(),
                sum(outcome.reduction_g or 0 for outcome in certified),
                sum(outcome.points or 0 for outcome in certified),
                self.feed.simulated,
            ),
        )


def exclusion(candidate: Candidate, others: dict[str, frozenset[str]]) -> Reason | None:
    """Return why another behavior of the citizen puts her outside the methodology, or None."""
    behaviors = others.get(candidate.citizen_id)
    if not behaviors or candidate.binding is None:
        return None
    return exclusion_for(candidate.binding.methodology, behaviors)


def unstored(number: int, external_id: str | None, why: Unreadable) -> Outcome:
    """Answer a line of which nothing is kept."""
    return Outcome(number, external_id, "refused", why.code, why.params)


def outcome_of(candidate: Candidate, verdict: str, reason: Reason | None) -> Outcome:
    """Answer an act that has just been recorded."""
    counts = verdict != "refused"
    return Outcome(
        candidate.line,
        candidate.external_id,
        verdict,
        reason.code if reason else None,
        dict(reason.params) if reason else None,
        candidate.activity_id,
        candidate.reduction_g if counts else 0,
        candidate.points if counts else 0,
    )


def repeated(candidate: Candidate, before: Known) -> Outcome:
    """Answer an act whose key is known: the first verdict again, or that it contradicts."""
    if before.evidence_digest != candidate.evidence_digest:
        return _conflict(candidate)
    return Outcome(
        candidate.line,
        candidate.external_id,
        "duplicate",
        before.code,
        before.params,
        candidate.activity_id,
        before.reduction_g,
        before.points,
        before.verdict,
    )


def repeated_here(again: Candidate, before: Candidate, first: Outcome) -> Outcome:
    """Answer an act that stands twice in one part of a feed."""
    if before.evidence_digest != again.evidence_digest:
        return _conflict(again)
    return first._replace(line=again.line, verdict="duplicate", first_verdict=first.verdict)


def _conflict(candidate: Candidate) -> Outcome:
    return Outcome(
        candidate.line, candidate.external_id, "conflict", "conflict", None, candidate.activity_id
    )


def _line_number(outcome: Outcome) -> int:
    return outcome.line
