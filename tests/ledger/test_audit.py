"""The audit: silent over honest books, and loud about each kind of damage."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from service import clock
from service.activities.audit import CHECKS as ACTIVITY_CHECKS
from service.activities.certification.batches import close_due_batches
from service.ledger.audit import Finding, run_audit
from service.ledger.commitments import COMMITMENT_IN_SQL
from service.ledger.expiry import expire_lapsed_lots
from service.ledger.invariants import CHECKS as LEDGER_CHECKS
from service.runtime import Runtime
from tests.ledger.conftest import issue
from tests.ledger.damage import damaged
from tests.ledger.town import Town, hours_ago, ride

COMMIT_AGAIN = f"""
UPDATE transfer SET commitment = {COMMITMENT_IN_SQL}
FROM account WHERE account.citizen_id = transfer.citizen_id
"""

ALL_CHECKS = (*LEDGER_CHECKS, *ACTIVITY_CHECKS)


def broken(runtime: Runtime) -> dict[str, Finding]:
    return {
        finding.name: finding
        for finding in run_audit(runtime.database, ALL_CHECKS)
        if finding.differences
    }


@pytest.fixture
def books(fresh_runtime: Runtime) -> Runtime:
    """Honest books: rides certified, waiting in a closed batch, refused; an account that lapsed."""
    signed = Town.founded(fresh_runtime, "a", "b")
    signed.report(
        [
            ride("a", start=hours_ago(9)),
            ride("a", start=hours_ago(6)),
            ride("b", start=hours_ago(6)),
            ride("b", start=hours_ago(5.9)),  # refused: overlaps
        ]
    )
    slow = Town.founded(fresh_runtime, "c", "d", delay_days=1)
    slow.report([ride("c"), ride("d")])
    close_due_batches(fresh_runtime.database, today=clock.today() + timedelta(days=2))
    slow.report([ride("c", start=hours_ago(3))])
    issue_of_a_lapsed_lot(fresh_runtime)
    return fresh_runtime


def issue_of_a_lapsed_lot(runtime: Runtime) -> None:
    """One ride of three years ago, as if it had been recorded then."""
    town = Town.founded(runtime, "old")
    town.report([ride("old")])
    lapsed = clock.today() - timedelta(days=1)
    damaged(
        runtime,
        "UPDATE transfer SET expires_on = %(lapsed)s WHERE citizen_id = %(citizen)s",
        "UPDATE lot SET expires_on = %(lapsed)s WHERE citizen_id = %(citizen)s",
        COMMIT_AGAIN,
        lapsed=lapsed,
        citizen=town.citizens["old"],
    )
    expire_lapsed_lots(runtime.database, clock.today())


class TestAnAudit:
    def test_of_honest_books_finds_nothing(self, books: Runtime) -> None:
        assert broken(books) == {}

    def test_of_empty_books_finds_nothing(self, fresh_runtime: Runtime) -> None:
        assert broken(fresh_runtime) == {}

    def test_counts_every_difference_and_shows_one(self, fresh_runtime: Runtime) -> None:
        for _ in range(3):
            issue(fresh_runtime, uuid4(), 5, 50, clock.today())
        damaged(fresh_runtime, "UPDATE transfer SET reduction_g = 60")

        finding = broken(fresh_runtime)["lots-equal-transfers"]

        assert finding.differences == 3
        assert finding.first is not None
        lot, transfers = finding.first["lot"], finding.first["transfers"]
        assert (lot["issued_g"], transfers["issued_g"]) == (50, 60)


ONE_CERTIFIED = "(SELECT id FROM activity WHERE verdict = 'certified' ORDER BY id LIMIT 1)"
ONE_PENDING = "(SELECT id FROM activity WHERE verdict = 'pending' ORDER BY id LIMIT 1)"


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("lots-equal-transfers", "UPDATE transfer SET points = points + 1 WHERE kind = 'issue'"),
        ("lots-equal-transfers", "DELETE FROM transfer WHERE kind = 'expire'"),
        ("lots-equal-transfers", "DELETE FROM lot"),
        (
            "lots-equal-transfers",
            "UPDATE lot SET issued_g = issued_g + 1, available_g = available_g + 1",
        ),
        (
            "one-fate",
            (
                "ALTER TABLE lot DROP CONSTRAINT ck_lot_points_have_one_fate;"
                "UPDATE lot SET available_points = available_points + 1"
            ),
        ),
        (
            "one-fate",
            (
                "ALTER TABLE lot DROP CONSTRAINT ck_lot_nothing_negative;"
                "UPDATE lot SET available_g = -1, held_g = issued_g + 1 WHERE expired_g = 0"
            ),
        ),
        ("lots-have-accounts", "DELETE FROM account"),
        (
            "nothing-expires-early",
            "UPDATE transfer SET expires_on = current_date + 9 WHERE kind = 'expire'",
        ),
        ("issues-equal-certified", f"DELETE FROM activity WHERE id = {ONE_CERTIFIED}"),
        ("issues-equal-certified", f"DELETE FROM transfer WHERE id = {ONE_CERTIFIED}"),
        (
            "issues-equal-certified",
            f"UPDATE activity SET reduction_g = reduction_g + 1 WHERE id = {ONE_CERTIFIED}",
        ),
        ("activities-have-details", "DELETE FROM activity_detail"),
        ("activities-have-details", "UPDATE activity_detail SET counted = true"),
        (
            "erased-left-nothing",
            (
                "INSERT INTO erasure (citizen_id, requested_by)"
                " SELECT citizen_id, 'citizen' FROM activity LIMIT 1;"
                "INSERT INTO erasure_completion (citizen_id) SELECT citizen_id FROM erasure"
            ),
        ),
        ("trips-do-not-overlap", "UPDATE activity_detail SET ended_at = started_at + '9 hours'"),
        (
            "trips-do-not-overlap",
            "UPDATE activity_detail SET counted = true",
        ),
        (
            "records-count-once",
            "UPDATE activity SET external_id = 'same' WHERE verdict = 'certified'",
        ),
        (
            "caps-are-kept",
            (
                "INSERT INTO activity_detail (citizen_id, started_at, activity_id, ended_at,"
                " behavior, counted, is_trip, activity_data) SELECT citizen_id, started_at,"
                " gen_random_uuid(), ended_at, behavior, true, false, activity_data"
                " FROM activity_detail, generate_series(1, 5)"
            ),
        ),
        ("waiting-is-pending", "DELETE FROM pending_activity"),
        ("waiting-is-pending", "UPDATE pending_activity SET points = points + 1"),
        (
            "waiting-is-pending",
            (
                "INSERT INTO verdict (citizen_id, activity_id, seq, verdict)"
                f" SELECT citizen_id, id, 1, 'withdrawn' FROM activity WHERE id = {ONE_PENDING}"
            ),
        ),
        ("feeds-add-up", "UPDATE activity_batch SET points = points + 1 WHERE points > 0"),
        ("feeds-add-up", "DELETE FROM activity_batch"),
        ("batches-are-frozen", "UPDATE certification_batch SET digest = sha256('')"),
        ("batches-are-frozen", "DELETE FROM certification_batch_item"),
        (
            "batches-are-frozen",
            "UPDATE activity SET evidence_digest = sha256('other') WHERE verdict = 'pending'",
        ),
        (
            "outcomes-add-up",
            (
                "INSERT INTO certification_decision SELECT id, 'approved', '', id"
                " FROM certification_batch;"
                "INSERT INTO certification_outcome SELECT id, activities, activities, reduction_g,"
                " points, '{}' FROM certification_batch"
            ),
        ),
        (
            "claims-count",
            (
                "INSERT INTO once_claim SELECT sha256(id::text::bytea), citizen_id, id"
                " FROM activity WHERE verdict = 'refused'"
            ),
        ),
        ("results-have-a-ground", "DELETE FROM quantification_basis"),
        ("results-have-a-ground", "DELETE FROM scheme_rules"),
    ],
)
def test_damage_is_found_and_named(books: Runtime, name: str, damage: str) -> None:
    damaged(books, *damage.split(";"))

    found: Any = broken(books)

    assert name in found
    assert found[name].first


REFUSED_AT = """
WITH asked AS (
    INSERT INTO posting (citizen_id, id, kind, points) VALUES (%(citizen)s, %(id)s, 'hold', 5)
    RETURNING citizen_id, id)
INSERT INTO refusal (citizen_id, posting_id, code, params, recorded_at)
SELECT citizen_id, id, 'insufficient-points', '{"asked": 5, "available": 0}', %(moment)s FROM asked
"""


class TestARefusalOfTheLastPoints:
    """Their day is the service's; when they were refused says the database's clock."""

    @pytest.mark.parametrize(
        ("before_midnight", "was_wrong"),
        [(timedelta(milliseconds=1), False), (timedelta(minutes=2), True)],
    )
    def test_was_right_if_their_day_may_have_been_over(
        self, fresh_runtime: Runtime, before_midnight: timedelta, *, was_wrong: bool
    ) -> None:
        citizen_id, last_day = uuid4(), clock.today() + timedelta(days=10)
        issue(fresh_runtime, citizen_id, 10, 10, last_day)
        moment = clock.start_of(last_day + timedelta(days=1)) - before_midnight

        with fresh_runtime.database.raw_transaction() as connection:
            asked = {"citizen": citizen_id, "id": uuid4(), "moment": moment}
            connection.execute(REFUSED_AT, asked)

        assert ("refusals-stand" in broken(fresh_runtime)) is was_wrong
