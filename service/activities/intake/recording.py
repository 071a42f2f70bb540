"""Writing what was decided: one statement for each table, in the order of its key."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from operator import attrgetter
from uuid import UUID

import msgspec

from service.activities.certification.pending import NextVerdict, Waiting, take_out, tell
from service.activities.intake.candidates import Candidate, Source
from service.bulk import NULL, Row, Table, array_of, insert_rows
from service.ledger.accounts import Accounts
from service.ledger.issuing import Issue, issue_lots
from service.methodologies.reasons import Reason
from service.pipelining import Connection

ACTIVITIES = Table(
    "activity",
    *("citizen_id", "id", "source_id", "batch_id", "external_id", "revision", "behavior", "tier"),
    *("basis_id", "rules_version", "evidence_digest", "verdict", "code", "params", "reduction_g"),
    *("points", "simulated"),
)
DETAILS = Table(
    "activity_detail",
    *("citizen_id", "started_at", "activity_id", "ended_at", "behavior", "counted", "is_trip"),
    *("account_digest", "activity_data"),
)
PENDING = Table(
    "pending_activity",
    *("citizen_id", "activity_id", "source_id", "methodology_code", "happened_on", "due_on"),
    *("expires_on", "reduction_g", "points"),
)

READ_BASES = """
SELECT encode(uuid_send(id), 'hex') FROM quantification_basis WHERE id = ANY(%s::uuid[])
"""

STORE_BASIS = """
INSERT INTO quantification_basis (id, basis) VALUES (%s, %s) ON CONFLICT (id) DO NOTHING
"""


@dataclass(slots=True)
class Decided:
    """What a part of a feed has come to, before it is written."""

    certified: list[Candidate] = field(default_factory=list)
    pending: list[tuple[Candidate, Reason | None]] = field(default_factory=list)
    refused: list[tuple[Candidate, Reason]] = field(default_factory=list)
    superseded: list[tuple[Candidate, str]] = field(default_factory=list)
    """What takes the place of which waiting activity."""


class Recorder:
    """Writes one part of a feed inside the caller's transaction."""

    def __init__(
        self,
        connection: Connection,
        accounts: Accounts,
        source: Source,
        batch_of: Callable[[int], str],
    ) -> None:
        """Prepare to write.

        Args:
            connection: inside the caller's transaction.
            accounts: of the citizens, locked by it.
            source: who reports.
            batch_of: from a line's number to the id of the feed it came with.
        """
        self.connection = connection
        self.accounts = accounts
        self.source = source
        self.source_id = source.id.hex if source.id else NULL
        self.batch_of = batch_of

    def write(self, decided: Decided, known_bases: set[str]) -> set[str]:
        """Write every row and issue what is certified.

        Args:
            decided: the verdicts, none of whose activities exists yet.
            known_bases: quantification bases that are stored already.

        Returns:
            The bases stored now, to be known once the transaction has been committed.
        """
        # Neighbours in the indexes are written one after the other.
        decided.certified.sort(key=attrgetter("citizen_id"))
        bases = self._store_bases(decided, known_bases)
        self._write_activities(decided)
        self._write_details(decided)
        self._write_pending(decided.pending)
        self._supersede(decided.superseded)
        issues = [_issue(candidate) for candidate in decided.certified]
        issue_lots(self.connection, self.accounts, issues)
        return bases

    def _store_bases(self, decided: Decided, known: set[str]) -> set[str]:
        bindings = {
            candidate.binding.basis.digest: candidate.binding.basis
            for candidate in (*decided.certified, *(each for each, _ in decided.pending))
            if candidate.binding is not None
        }
        new = {digest: basis for digest, basis in bindings.items() if digest not in known}
        if not new:
            return set()
        # A process that has just begun knows none. Looking first spares a write that others, on
        # several machines all of them, would wait for.
        asked = self.connection.execute(READ_BASES, (array_of(each[:32] for each in new),))
        stored = {row[0] for row in asked}
        for digest, basis in sorted(new.items()):
            if digest[:32] not in stored:
                self.connection.execute(
                    STORE_BASIS, (digest[:32], msgspec.json.encode(basis.as_dict()).decode())
                )
        return set(new)

    def _write_activities(self, decided: Decided) -> None:
        rows = [self._activity(candidate, "certified", None) for candidate in decided.certified]
        rows += [self._activity(each, "pending", reason) for each, reason in decided.pending]
        rows += [self._activity(each, "refused", reason) for each, reason in decided.refused]
        insert_rows(self.connection, ACTIVITIES, rows)

    def _activity(self, candidate: Candidate, verdict: str, reason: Reason | None) -> Row:
        counted = verdict != "refused"
        return (
            candidate.citizen_id,
            candidate.activity_id,
            self.source_id,
            self.batch_of(candidate.line),
            candidate.external_id,
            str(candidate.revision),
            candidate.behavior,
            self.source.tier,
            candidate.binding.basis.digest[:32] if counted and candidate.binding else NULL,
            str(candidate.terms.rules.version) if candidate.terms else "0",
            f"\\x{candidate.evidence_digest}",
            verdict,
            reason.code if reason else NULL,
            _json_of(reason),
            str(candidate.reduction_g) if counted else "0",
            str(candidate.points) if counted else "0",
            "t" if candidate.simulated else "f",
        )

    def _write_details(self, decided: Decided) -> None:
        rows = [_detail(candidate, counted=True) for candidate in decided.certified]
        rows += [_detail(candidate, counted=True) for candidate, _ in decided.pending]
        rows += [_detail(candidate, counted=False) for candidate, _ in decided.refused]
        insert_rows(self.connection, DETAILS, rows)

    def _write_pending(self, pending: Sequence[tuple[Candidate, Reason | None]]) -> None:
        insert_rows(
            self.connection, PENDING, [self._pending(candidate) for candidate, _ in pending]
        )

    def _pending(self, candidate: Candidate) -> Row:
        assert candidate.terms is not None  # noqa: S101  without terms an act is refused
        assert candidate.binding is not None  # noqa: S101  and without a methodology as well
        return (
            candidate.citizen_id,
            candidate.activity_id,
            self.source_id,
            candidate.binding.methodology.code,
            candidate.day.isoformat(),
            due_on(self.source, candidate).isoformat(),
            candidate.terms.expires_on,
            str(candidate.reduction_g),
            str(candidate.points),
        )

    def _supersede(self, superseded: Iterable[tuple[Candidate, str]]) -> None:
        causes = {
            Waiting(by.citizen_id, old_id): UUID(hex=by.activity_id) for by, old_id in superseded
        }
        if causes:
            gone = take_out(self.connection, causes)
            verdicts = ((each, _superseded_by(causes[each])) for each in gone)
            tell(self.connection, verdicts)


def _superseded_by(cause_id: UUID) -> NextVerdict:
    return NextVerdict("superseded", cause_id, "superseded")


def due_on(source: Source, candidate: Candidate) -> date:
    """Return the day from which a pending act's batch may close."""
    assert candidate.terms is not None  # noqa: S101  without terms an act is refused
    delay_days = source.delay_days
    if delay_days is None:
        delay_days = candidate.terms.rules.self_recorded_delay_days
    return candidate.day + timedelta(days=delay_days)


def _issue(candidate: Candidate) -> Issue:
    assert candidate.terms is not None  # noqa: S101  without terms an act is refused
    return Issue(
        candidate.citizen_id,
        candidate.activity_id,
        candidate.terms.expires_on,
        candidate.points,
        candidate.reduction_g,
    )


def _detail(candidate: Candidate, *, counted: bool) -> Row:
    digest = candidate.account_digest
    return (
        candidate.citizen_id,
        candidate.started_at.isoformat(),
        candidate.activity_id,
        candidate.ended_at.isoformat(),
        candidate.behavior,
        "t" if counted else "f",
        "t" if candidate.is_trip else "f",
        f"\\x{digest}" if digest else NULL,
        candidate.data_json,
    )


def _json_of(reason: Reason | None) -> str:
    if reason is None or not reason.params:
        return NULL
    return msgspec.json.encode(reason.params).decode()
