"""A correction: the record as it stood is taken back, and judged as it should have been.

Both in one transaction under the citizen's lock, so nobody ever sees the act counted twice or not
at all. The restated record is judged by the same desk as every other; that it is late is not
counted against it if it came in time at first.
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import psycopg

from service import clock, ids
from service.activities.certification.pending import NextVerdict
from service.activities.corrections.answers import Corrected, answer_to
from service.activities.corrections.records import (
    Fate,
    Revision,
    decided_here,
    fate_of,
    newest_id,
    received_at,
    revision_of,
)
from service.activities.corrections.restatements import Restatement, Withdrawal
from service.activities.corrections.taking_back import Standing, take_back
from service.activities.errors import (
    CorrectedTooOften,
    CorrectionSuperseded,
    NotCorrectable,
    NothingCorrected,
    RestatementNotCovered,
)
from service.activities.intake.candidates import Candidate, Examiner, Source, derived_id
from service.activities.intake.deciding import decide
from service.activities.intake.lines import Unreadable
from service.activities.intake.neighbours import ask_neighbours, neighbourhoods
from service.activities.intake.recording import Recorder
from service.activities.rules.rulebook import Rulebook
from service.bulk import NULL
from service.identity.source_links import LinkSpan, holder_at, holders_of
from service.keys import KeyRing
from service.ledger.accounts import Accounts, lock_account

REVISIONS_MAX: Final = 100
WITHDRAWN: Final = "withdrawn-by-source"
BEHAVIOR_DIFFERS: Final = Unreadable("behavior-differs", {"pointer": "/behavior"})

STORE = """
INSERT INTO correction (citizen_id, first_id, id, source_id, corrected_id, activity_id, revision,
    invalidated_points, invalidated_g, owed_points, owed_g)
VALUES (%(citizen_id)s, %(first_id)s, %(id)s, %(source_id)s, %(corrected_id)s, %(activity_id)s,
    %(revision)s, %(invalidated_points)s, %(invalidated_g)s, %(owed_points)s, %(owed_g)s)
"""

STORE_REASON = """
INSERT INTO correction_reason (citizen_id, correction_id, reason) VALUES (%s, %s, %s)
"""

READ_OWED = "SELECT owed_points, owed_g FROM account WHERE citizen_id = %s"


@dataclass(frozen=True, slots=True)
class Desk:
    """Who corrects, and by which rules and keys it is judged."""

    source: Source
    rulebook: Rulebook
    keys: KeyRing

    @property
    def source_id(self) -> UUID:
        """The source's; citizens do not correct."""
        assert self.source.id is not None  # noqa: S101  only partners come here
        return self.source.id


def correct(
    connection: psycopg.Connection[Any],
    desk: Desk,
    citizen_id: UUID,
    activity_id: UUID,
    asked: Restatement | Withdrawal,
) -> tuple[Corrected, bool] | Unreadable:
    """Correct a source's record; the same correction again gives its first answer.

    Args:
        connection: inside the entry point's transaction.
        desk: of the source that has reported the activity.
        citizen_id: whose activity it is.
        activity_id: of the record's newest revision.
        asked: how it should have been, or that it never was.

    Returns:
        The correction and whether it is new; or why its quantities cannot be read.

    Raises:
        CorrectionSuperseded: it was corrected otherwise; the newest revision can be corrected.
        NotCorrectable: the scheme has invalidated it.
        CorrectedTooOften, NothingCorrected
        RestatementNotCovered: the citizen's link does not cover the restated act, or has ended.
    """
    accounts = lock_account(connection, citizen_id)
    revision = revision_of(connection, citizen_id, activity_id)
    restated = _candidate(connection, desk, revision, asked)
    if isinstance(restated, Unreadable):
        return restated
    correction_id = _correction_id(revision, restated)
    made = answer_to(connection, revision, correction_id)
    if made is not None:
        return made, False
    fate = _require_correctable(connection, desk.source_id, revision, restated)
    _Correction(connection, desk, accounts, revision, correction_id).carry_out(
        fate, restated, asked.reason
    )
    made = answer_to(connection, revision, correction_id)
    assert made is not None  # noqa: S101  written above
    return made, True


class _Correction:
    """A new correction on its way."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        desk: Desk,
        accounts: Accounts,
        revision: Revision,
        correction_id: UUID,
    ) -> None:
        self.connection = connection
        self.desk = desk
        self.accounts = accounts
        self.revision = revision
        self.id = correction_id

    def carry_out(self, fate: Fate, restated: Candidate | None, reason: str) -> None:
        owed = self._owed()
        self._take_back(fate, restated)
        if restated is not None:
            self._record(restated)
        more = [max(0, after - before) for after, before in zip(self._owed(), owed, strict=True)]
        self._store(fate, restated, more, reason)

    def _take_back(self, fate: Fate, restated: Candidate | None) -> None:
        revision = self.revision
        act = Standing(revision.citizen_id.hex, revision.id.hex, fate.verdict)
        if restated is None:
            verdict = NextVerdict("withdrawn", None, WITHDRAWN)
        else:
            verdict = NextVerdict("corrected", UUID(hex=restated.activity_id), "corrected")
        take_back(self.connection, self.accounts, [act], verdict)

    def _record(self, restated: Candidate) -> None:
        """Judge the restated record beside her other acts, write it and issue."""
        # Locked again: what is issued now pays first what is owed since a moment ago, and comes
        # after it in the order of her transfers.
        accounts = lock_account(self.connection, self.revision.citizen_id)
        hoods = neighbourhoods(ask_neighbours(self.connection, [restated]))
        decided = decide(self.connection, self.desk.keys, self.desk.source, [restated], hoods)
        recorder = Recorder(self.connection, accounts, self.desk.source, lambda _: NULL)
        recorder.write(decided, set())

    def _owed(self) -> tuple[int, int]:
        row = self.connection.execute(READ_OWED, [self.revision.citizen_id]).fetchone()
        assert row is not None  # noqa: S101  the account is locked
        return row[0], row[1]

    def _store(self, fate: Fate, restated: Candidate | None, owed: list[int], reason: str) -> None:
        revision = self.revision
        was_certified = fate.verdict == "certified"
        self.connection.execute(
            STORE,
            {
                "citizen_id": revision.citizen_id,
                "first_id": revision.first_id,
                "id": self.id,
                "source_id": self.desk.source_id,
                "corrected_id": revision.id,
                "activity_id": restated.activity_id if restated else None,
                "revision": restated.revision if restated else revision.revision,
                "invalidated_points": revision.issued_points if was_certified else 0,
                "invalidated_g": revision.issued_g if was_certified else 0,
                "owed_points": owed[0],
                "owed_g": owed[1],
            },
        )
        if not revision.is_erased:
            self.connection.execute(STORE_REASON, (revision.citizen_id, self.id, reason))


def _candidate(
    connection: psycopg.Connection[Any],
    desk: Desk,
    revision: Revision,
    asked: Restatement | Withdrawal,
) -> Candidate | Unreadable | None:
    """Return the restated record judged by itself, or None where there is none."""
    if isinstance(asked, Withdrawal):
        return None
    if asked.behavior not in (None, revision.behavior):
        return BEHAVIOR_DIFFERS
    first_came_at = received_at(connection, revision)
    return Examiner(desk.source, desk.rulebook, clock.now(), first_came_at).candidate(
        1,
        asked.line(revision.external_id, revision.behavior),
        revision.citizen_id.hex,
        account_digest=revision.account_digest,
        simulated=revision.simulated,
        revision=revision.revision + 1,
    )


def _correction_id(revision: Revision, restated: Candidate | None) -> UUID:
    """Return the id of the one correction that puts this in the place of that."""
    instead = restated.evidence_digest if restated else WITHDRAWN
    return UUID(hex=derived_id(f"correction:{revision.id.hex}:{instead}"))


def _require_correctable(
    connection: psycopg.Connection[Any],
    source_id: UUID,
    revision: Revision,
    restated: Candidate | None,
) -> Fate:
    """Return how the record stands, or refuse, in this order."""
    newest = newest_id(connection, revision)
    if newest != revision.id:
        raise CorrectionSuperseded(
            "This record was corrected before, otherwise. Please correct its newest revision,"
            " which activity_id names.",
            activity_id=ids.public_id(ids.ACTIVITY, newest),
        )
    decided = decided_here(connection, revision.citizen_id, revision.id)
    if decided is not None:
        raise NotCorrectable(
            "The scheme has taken this record back ({reason}). Please ask its operator.",
            reason=decided,
        )
    fate = fate_of(connection, revision)
    if restated is not None:
        _require_new(revision, fate, restated)
        restated.is_frozen = _consent(connection, source_id, revision, restated).frozen
    return fate


def _require_new(revision: Revision, fate: Fate, restated: Candidate) -> None:
    if revision.revision >= REVISIONS_MAX:
        raise CorrectedTooOften(
            "This record has been corrected {limit} times. Please ask the scheme's operator.",
            limit=REVISIONS_MAX,
        )
    if restated.evidence_digest == revision.evidence_digest and fate.code != WITHDRAWN:
        raise NothingCorrected("This is what is recorded, so there is nothing to correct.")


def _consent(
    connection: psycopg.Connection[Any],
    source_id: UUID,
    revision: Revision,
    restated: Candidate,
) -> LinkSpan:
    """Return the link by which the source may report the restated act."""
    span = None
    if restated.account_digest is not None:
        digest = bytes.fromhex(restated.account_digest)
        holders = holders_of(connection, source_id, [digest])
        span = holder_at(holders.get(digest, ()), restated.started_at)
    if span is None or span.ended_at is not None or span.citizen_id != revision.citizen_id:
        raise RestatementNotCovered(
            "No active link of this citizen covers the restated act, so nothing more about her may"
            " be recorded. If the record was false, please withdraw it."
        )
    return span
