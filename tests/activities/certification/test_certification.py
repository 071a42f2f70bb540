"""A day's pending activities become batches, and batches become points."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from service.activities.certification.batches import (
    Decided,
    Decision,
    close_due_batches,
    decide_batch,
    decision_on,
)
from service.activities.certification.carrying_out import carry_out, carry_out_chunk
from service.activities.errors import (
    BatchAlreadyDecided,
    BatchDigestMismatch,
    BatchUndecided,
    BatchUnknown,
)
from service.identity.actors import COMMAND_LINE
from service.identity.citizens import freeze, release
from service.runtime import Runtime
from tests.activities.factories import (
    RIDE_8200_M_G,
    a_citizen,
    a_ride,
    a_source,
    activity_ids,
    an_invoice,
    citizens,
    noon,
    points_of,
    record,
    rows,
    verdicts_of,
)

VERIFIER = uuid4()


def cards(count: int) -> list[str]:
    return [f"card-{number}" for number in range(count)]


def rides_of(runtime: Runtime, count: int) -> tuple[UUID, list[UUID], list[UUID]]:
    """Let that many citizens ride once each at a source that settles the next day."""
    source = a_source(runtime, delay_days=1)
    people = citizens(runtime, source, cards(count))
    feed = record(runtime, source, *(a_ride(card) for card in cards(count)))
    assert source.id is not None
    return source.id, people, activity_ids(feed)


def batches_of(runtime: Runtime, source_id: UUID | None) -> list[UUID]:
    query = "SELECT id FROM certification_batch WHERE source_id = %s ORDER BY closed_at"
    return [batch_id for (batch_id,) in rows(runtime, query, source_id)]


def decide(
    runtime: Runtime, batch_id: UUID, decision: Decided = "approved", statement: str = "as read"
) -> tuple[Decision, bool]:
    with runtime.database.raw_transaction() as connection:
        return decide_batch(connection, batch_id, decision, statement, VERIFIER)


def a_closed_batch(runtime: Runtime, count: int = 1) -> tuple[UUID, list[UUID], list[UUID]]:
    source_id, people, acts = rides_of(runtime, count)
    close_due_batches(runtime.database)
    (batch_id,) = batches_of(runtime, source_id)
    return batch_id, people, acts


class TestClosing:
    def test_takes_what_is_due_and_leaves_what_is_not(self, runtime: Runtime) -> None:
        source = a_source(runtime, delay_days=2)
        a_citizen(runtime, source)
        record(runtime, source, a_ride(at=noon(2)), a_ride(at=noon(1)))

        close_due_batches(runtime.database)

        (found,) = rows(
            runtime,
            "SELECT happened_on, activities, reduction_g, points FROM certification_batch"
            " WHERE source_id = %s",
            source.id,
        )
        assert found == (noon(2).date(), 1, RIDE_8200_M_G, RIDE_8200_M_G)

    def test_keeps_days_and_methodologies_apart(self, runtime: Runtime) -> None:
        source = a_source(runtime, delay_days=1)
        a_citizen(runtime, source)
        record(runtime, source, a_ride(at=noon(2)), a_ride(), an_invoice(uuid4().hex))

        close_due_batches(runtime.database)

        assert len(batches_of(runtime, source.id)) == 3

    def test_puts_late_arrivals_into_a_further_batch_of_the_same_day(
        self, runtime: Runtime
    ) -> None:
        source = a_source(runtime, delay_days=1)
        a_citizen(runtime, source)
        record(runtime, source, a_ride(at=noon(1)))
        close_due_batches(runtime.database)

        record(runtime, source, a_ride(at=noon(1) + timedelta(hours=1)))
        close_due_batches(runtime.database)

        days = rows(
            runtime,
            "SELECT happened_on FROM certification_batch WHERE source_id = %s",
            source.id,
        )
        assert days == [(noon(1).date(),)] * 2

    def test_bounds_a_batch(self, runtime: Runtime) -> None:
        source_id, _, _ = rides_of(runtime, 5)

        close_due_batches(runtime.database, most=2)

        sizes = rows(
            runtime,
            "SELECT activities FROM certification_batch WHERE source_id = %s ORDER BY activities",
            source_id,
        )
        assert sizes == [(1,), (2,), (2,)]

    def test_by_two_at_once_takes_each_activity_into_one_batch(self, runtime: Runtime) -> None:
        source_id, _, acts = rides_of(runtime, 60)

        with ThreadPoolExecutor(4) as closers:
            list(closers.map(lambda _: close_due_batches(runtime.database, most=7), range(4)))

        listed = rows(
            runtime,
            "SELECT i.activity_id FROM certification_batch_item i"
            " JOIN certification_batch b ON b.id = i.batch_id WHERE b.source_id = %s",
            source_id,
        )
        assert sorted(act for (act,) in listed) == sorted(acts)

    def test_leaves_a_frozen_citizen_out_until_she_is_released(self, runtime: Runtime) -> None:
        source_id, (citizen,), _ = rides_of(runtime, 1)
        with runtime.database.transaction() as session:
            freeze(session, citizen, COMMAND_LINE, "under investigation")
        close_due_batches(runtime.database)
        assert batches_of(runtime, source_id) == []

        with runtime.database.transaction() as session:
            release(session, citizen, COMMAND_LINE, "nothing was found")
        close_due_batches(runtime.database)

        assert len(batches_of(runtime, source_id)) == 1


class TestADecision:
    def test_is_taken_once_and_repeated_with_the_same_answer(self, runtime: Runtime) -> None:
        batch_id, _, _ = a_closed_batch(runtime)

        first, is_new = decide(runtime, batch_id)
        again, is_new_again = decide(runtime, batch_id)

        assert (is_new, is_new_again) == (True, False)
        assert again == first

    @pytest.mark.parametrize(("decision", "statement"), [("rejected", "as read"), ("approved", "")])
    def test_stands_against_another_one(
        self, runtime: Runtime, decision: Decided, statement: str
    ) -> None:
        batch_id, _, _ = a_closed_batch(runtime)
        decide(runtime, batch_id)

        with pytest.raises(BatchAlreadyDecided) as refusal:
            decide(runtime, batch_id, decision, statement)

        assert refusal.value.members["decision"] == "approved"

    def test_is_refused_when_the_batch_is_not_what_was_closed(self, runtime: Runtime) -> None:
        batch_id, _, _ = a_closed_batch(runtime)
        other_batch_id, _, _ = a_closed_batch(runtime)
        with runtime.database.raw_transaction() as connection:
            connection.execute(
                "INSERT INTO certification_batch_item (citizen_id, activity_id, batch_id)"
                " SELECT citizen_id, activity_id, %s FROM certification_batch_item"
                " WHERE batch_id = %s",
                (batch_id, other_batch_id),
            )

        with pytest.raises(BatchDigestMismatch):
            decide(runtime, batch_id)

    def test_needs_a_batch(self, runtime: Runtime) -> None:
        with pytest.raises(BatchUnknown):
            decide(runtime, uuid4())

    def test_comes_before_its_consequences(self, runtime: Runtime) -> None:
        batch_id, _, _ = a_closed_batch(runtime)

        with pytest.raises(BatchUndecided):
            carry_out(runtime.database, batch_id)

    def test_is_never_rewritten(self, runtime: Runtime) -> None:
        batch_id, _, _ = a_closed_batch(runtime)
        decide(runtime, batch_id)

        with (
            pytest.raises(psycopg.errors.InsufficientPrivilege),
            runtime.database.raw_transaction() as connection,
        ):
            connection.execute(
                "UPDATE certification_decision SET decision = 'rejected' WHERE batch_id = %s",
                [batch_id],
            )


class TestAnApprovedBatch:
    def test_gives_every_citizen_her_points(self, runtime: Runtime) -> None:
        batch_id, people, acts = a_closed_batch(runtime, 3)
        decide(runtime, batch_id)

        outcome = carry_out(runtime.database, batch_id)

        assert [points_of(runtime, person) for person in people] == [RIDE_8200_M_G] * 3
        assert verdicts_of(runtime, acts[0]) == [("certified", None)]
        assert (outcome.approved, outcome.issued, outcome.skipped) == (3, 3, {})
        assert (outcome.reduction_g, outcome.points) == (3 * RIDE_8200_M_G, 3 * RIDE_8200_M_G)

    def test_issues_what_certification_on_receipt_would(self, runtime: Runtime) -> None:
        batch_id, (late,), _ = a_closed_batch(runtime)
        at_once = a_source(runtime)
        immediate = a_citizen(runtime, at_once)
        record(runtime, at_once, a_ride())
        decide(runtime, batch_id)

        carry_out(runtime.database, batch_id)

        lot = (
            "SELECT expires_on, issued_points, issued_g, available_points, available_g"
            " FROM lot WHERE citizen_id = %s"
        )
        assert rows(runtime, lot, late) == rows(runtime, lot, immediate)

    @pytest.mark.parametrize("killed_after", [0, 1, 2, 3])
    def test_is_issued_exactly_once_wherever_the_job_is_killed(
        self, runtime: Runtime, killed_after: int
    ) -> None:
        batch_id, people, _ = a_closed_batch(runtime, 5)
        decision, _ = decide(runtime, batch_id)
        for _ in range(killed_after):
            with runtime.database.raw_transaction() as connection:
                carry_out_chunk(connection, decision, 2)
        killed_before_its_commit(runtime, decision)

        outcome = carry_out(runtime.database, batch_id, chunk_activities=2)
        again = carry_out(runtime.database, batch_id)

        assert [points_of(runtime, person) for person in people] == [RIDE_8200_M_G] * 5
        assert outcome.issued == 5
        assert again == outcome

    def test_is_issued_once_by_two_jobs_at_once(self, runtime: Runtime) -> None:
        batch_id, people, _ = a_closed_batch(runtime, 40)
        decide(runtime, batch_id)

        with ThreadPoolExecutor(3) as workers:
            outcomes = list(
                workers.map(
                    lambda _: carry_out(runtime.database, batch_id, chunk_activities=3), range(3)
                )
            )

        assert [points_of(runtime, person) for person in people] == [RIDE_8200_M_G] * 40
        assert len({outcome.recorded_at for outcome in outcomes}) == 1
        assert outcomes[0].issued == 40

    def test_passes_over_who_was_frozen_in_the_meantime(self, runtime: Runtime) -> None:
        batch_id, (frozen, other), acts = a_closed_batch(runtime, 2)
        decide(runtime, batch_id)
        with runtime.database.transaction() as session:
            freeze(session, frozen, COMMAND_LINE, "under investigation")

        outcome = carry_out(runtime.database, batch_id)

        assert outcome.skipped == {"account-frozen": 1}
        assert (points_of(runtime, frozen), points_of(runtime, other)) == (0, RIDE_8200_M_G)
        assert verdicts_of(runtime, acts[0]) == []

    def test_leaves_her_activities_to_a_later_batch(self, runtime: Runtime) -> None:
        batch_id, (citizen,), acts = a_closed_batch(runtime)
        decide(runtime, batch_id)
        with runtime.database.transaction() as session:
            freeze(session, citizen, COMMAND_LINE, "under investigation")
        carry_out(runtime.database, batch_id)
        with runtime.database.transaction() as session:
            release(session, citizen, COMMAND_LINE, "nothing was found")

        close_due_batches(runtime.database)
        (later,) = rows(
            runtime,
            "SELECT batch_id FROM pending_activity WHERE citizen_id = %s AND activity_id = %s",
            citizen,
            acts[0],
        )
        decide(runtime, later[0])
        carry_out(runtime.database, later[0])

        assert later[0] != batch_id
        assert points_of(runtime, citizen) == RIDE_8200_M_G


class TestARejectedBatch:
    def test_is_refused_with_the_verifiers_words(self, runtime: Runtime) -> None:
        batch_id, (citizen, *_), acts = a_closed_batch(runtime, 3)
        decide(runtime, batch_id, "rejected", "the gates were out of order")

        outcome = carry_out(runtime.database, batch_id, chunk_activities=2)

        params = rows(runtime, "SELECT params FROM verdict WHERE activity_id = %s", acts[0])
        assert params == [({"statement": "the gates were out of order"},)]
        assert verdicts_of(runtime, acts[0]) == [("refused", "batch-rejected")]
        assert points_of(runtime, citizen) == 0
        assert (outcome.approved, outcome.issued) == (0, 0)
        assert outcome.skipped == {"batch-rejected": 3}

    def test_lets_its_documents_be_counted_by_others(self, runtime: Runtime) -> None:
        source = a_source(runtime, delay_days=1)
        a_citizen(runtime, source)
        invoice = uuid4().hex
        record(runtime, source, an_invoice(invoice))
        close_due_batches(runtime.database)
        (batch_id,) = batches_of(runtime, source.id)
        decide(runtime, batch_id, "rejected")
        carry_out(runtime.database, batch_id)

        again = record(runtime, source, an_invoice(invoice))

        assert again.outcomes[0].verdict == "pending"

    def test_refuses_the_frozen_as_well(self, runtime: Runtime) -> None:
        batch_id, (citizen,), acts = a_closed_batch(runtime)
        decide(runtime, batch_id, "rejected")
        with runtime.database.transaction() as session:
            freeze(session, citizen, COMMAND_LINE, "under investigation")

        carry_out(runtime.database, batch_id)

        assert verdicts_of(runtime, acts[0]) == [("refused", "batch-rejected")]


class KilledError(Exception):
    """The process is gone."""


def killed_before_its_commit(runtime: Runtime, decision: Decision) -> None:
    """Deal with a chunk, and lose everything before the commit."""
    with suppress(KilledError), runtime.database.raw_transaction() as connection:
        carry_out_chunk(connection, decision, 2)
        raise KilledError


def test_a_decision_is_found_again(runtime: Runtime) -> None:
    batch_id, _, _ = a_closed_batch(runtime)
    decision, _ = decide(runtime, batch_id)

    with runtime.database.raw_transaction() as connection:
        assert decision_on(connection, batch_id) == decision
