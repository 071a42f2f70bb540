"""What waits for certification when a consent ends or a citizen leaves."""

from uuid import UUID, uuid4

from service.activities.appeals.appeals import make_appeal
from service.activities.certification.batches import close_due_batches, decide_batch
from service.activities.certification.carrying_out import carry_out
from service.activities.withdrawal import CONSEQUENCES
from service.identity.erasure import begin_erasure, complete_erasure
from service.identity.linking import end_link
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


def link_of(runtime: Runtime, citizen: UUID) -> UUID:
    ((link_id,),) = rows(runtime, "SELECT id FROM source_link WHERE citizen_id = %s", citizen)
    return UUID(str(link_id))


def unlink(runtime: Runtime, citizen: UUID, *, keep_pending: bool = False) -> None:
    with runtime.database.transaction() as session:
        end_link(
            session, citizen, link_of(runtime, citizen), CONSEQUENCES, keep_pending=keep_pending
        )


def leave(runtime: Runtime, citizen: UUID) -> None:
    with runtime.database.transaction() as session:
        begin_erasure(session, citizen, "citizen", CONSEQUENCES)
    with runtime.eraser.raw_transaction() as connection:
        complete_erasure(connection, citizen)


def waiting(runtime: Runtime, citizen: UUID) -> int:
    query = "SELECT count(*) FROM pending_activity WHERE citizen_id = %s"
    return int(rows(runtime, query, citizen)[0][0])


class TestWhenACitizenEndsALink:
    def test_its_pending_activities_are_withdrawn(self, runtime: Runtime) -> None:
        source = a_source(runtime, delay_days=1)
        citizen = a_citizen(runtime, source)
        (act,) = activity_ids(record(runtime, source, a_ride()))

        unlink(runtime, citizen)

        assert verdicts_of(runtime, act) == [("withdrawn", "source-link-ended")]
        assert waiting(runtime, citizen) == 0

    def test_she_may_keep_them(self, runtime: Runtime) -> None:
        source = a_source(runtime, delay_days=1)
        citizen = a_citizen(runtime, source)
        record(runtime, source, a_ride())

        unlink(runtime, citizen, keep_pending=True)

        assert waiting(runtime, citizen) == 1

    def test_what_is_certified_stays(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)
        record(runtime, source, a_ride())

        unlink(runtime, citizen)

        assert points_of(runtime, citizen) == RIDE_8200_M_G

    def test_other_peoples_activities_stay(self, runtime: Runtime) -> None:
        source = a_source(runtime, delay_days=1)
        leaver, other = citizens(runtime, source, ["card-1", "card-2"])
        record(runtime, source, a_ride("card-1"), a_ride("card-2"))

        unlink(runtime, leaver)

        assert waiting(runtime, other) == 1

    def test_a_document_can_be_counted_again(self, runtime: Runtime) -> None:
        source = a_source(runtime, delay_days=1)
        leaver, _ = citizens(runtime, source, ["card-1", "card-2"])
        invoice = uuid4().hex
        record(runtime, source, an_invoice(invoice, "card-1"))

        unlink(runtime, leaver)

        again = record(runtime, source, an_invoice(invoice, "card-2"))
        assert again.outcomes[0].verdict == "pending"

    def test_an_approved_batch_passes_over_them(self, runtime: Runtime) -> None:
        source = a_source(runtime, delay_days=1)
        leaver, stayer = citizens(runtime, source, ["card-1", "card-2"])
        record(runtime, source, a_ride("card-1"), a_ride("card-2"))
        batch_id = closed_and_approved(runtime, source.id)

        unlink(runtime, leaver)
        outcome = carry_out(runtime.database, batch_id)

        assert outcome.skipped == {"source-link-ended": 1}
        assert (outcome.approved, outcome.issued) == (2, 1)
        assert (points_of(runtime, leaver), points_of(runtime, stayer)) == (0, RIDE_8200_M_G)


class TestWhenACitizenLeaves:
    def test_nothing_of_hers_waits_any_longer(self, runtime: Runtime) -> None:
        source = a_source(runtime, delay_days=1)
        citizen = a_citizen(runtime, source)
        (act,) = activity_ids(record(runtime, source, a_ride()))
        batch_id = closed_and_approved(runtime, source.id)

        leave(runtime, citizen)
        outcome = carry_out(runtime.database, batch_id)

        assert verdicts_of(runtime, act) == [("erased", "erased")]
        assert outcome.skipped == {"erased": 1}
        assert points_of(runtime, citizen) == 0

    def test_times_places_and_the_words_of_appeals_are_deleted(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)
        (act,) = activity_ids(record(runtime, source, a_ride(at=noon(9))))
        with runtime.database.raw_transaction() as connection:
            made, _ = make_appeal(connection, citizen, act, "my name is on the receipt")
            connection.execute(
                "INSERT INTO appeal_decision VALUES (%s, %s, 'dismissed', 'her name is', %s)",
                (citizen, made.id, uuid4()),
            )

        leave(runtime, citizen)

        for table in ("activity_detail", "appeal", "appeal_decision"):
            query = f"SELECT count(*) FROM {table} WHERE citizen_id = %s"
            assert rows(runtime, query, citizen) == [(0,)]
        assert rows(runtime, "SELECT count(*) FROM activity WHERE id = %s", act) == [(1,)]


def closed_and_approved(runtime: Runtime, source_id: UUID | None) -> UUID:
    close_due_batches(runtime.database)
    query = "SELECT id FROM certification_batch WHERE source_id = %s"
    ((batch_id,),) = rows(runtime, query, source_id)
    with runtime.database.raw_transaction() as connection:
        decide_batch(connection, batch_id, "approved", "as read", uuid4())
    return UUID(str(batch_id))
