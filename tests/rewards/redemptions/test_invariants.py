"""The audit of redemptions: nothing is found in honest books, and everything in damaged ones."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from service import clock
from service.app import create_app
from service.ids import REDEMPTION, uuid_of
from service.ledger.audit import run_audit
from service.rewards.invariants import CHECKS as OF_OFFERS
from service.rewards.redemptions.invariants import CHECKS
from service.rewards.redemptions.janitor import ask_partners
from service.rewards.redemptions.states import STEPS
from service.runtime import Runtime
from tests.ledger.damage import damaged
from tests.rewards.market import Market
from tests.rewards.redemptions.desk import Desk
from tests.rewards.redemptions.staff import as_staff, post
from tests.rewards.redemptions.stories import everything_happens
from tests.rewards.redemptions.test_forcing import EVIDENCE
from tests.rewards.redemptions.test_renewals import renewed

UNDECIDED = {"offers-as-decided"}
"""The market's offers are active without anybody's decision."""


@pytest.fixture
def quiet(fresh_runtime: Runtime) -> Market:
    """A market in a database of its own."""
    return Market(fresh_runtime, create_app(fresh_runtime))


def found(runtime: Runtime) -> set[str]:
    """Return the invariants that are broken."""
    findings = run_audit(runtime.database, [*CHECKS, *OF_OFFERS])
    return {each.name for each in findings if each.differences} - UNDECIDED


class TestHonestBooks:
    def test_break_no_invariant(self, quiet: Market, desk: Desk) -> None:
        everything_happens(quiet, desk)

        with quiet.runtime.database.raw_transaction() as connection:
            rows = connection.execute("SELECT DISTINCT kind FROM redemption_record")
            kinds = {row[0] for row in rows}
        assert kinds == set(STEPS)
        assert found(quiet.runtime) == set()

    def test_break_none_when_two_people_have_decided(self, quiet: Market) -> None:
        offered = quiet.offer()
        redemption_id = quiet.submitted(quiet.customer(offered.partner_id), offered)
        with clock.shifted(timedelta(days=31)):
            ask_partners(quiet.runtime)
        path = f"/v1/redemptions/{redemption_id}/forced-resolutions"
        body = {"outcome": "voided", "evidence": EVIDENCE}
        proposal = post(quiet, path, body, as_staff(quiet, uuid4())).get_json()["id"]
        path = f"/v1/forced-resolutions/{proposal}/approvals"
        assert post(quiet, path, {}, as_staff(quiet, uuid4())).status_code == 201

        assert found(quiet.runtime) == set()

    def test_break_none_when_she_accepts_and_submits_at_once(self, quiet: Market) -> None:
        offered = quiet.offer()
        customer = quiet.customer(offered.partner_id)
        wish = {"quote_id": quiet.quote(customer, offered).get_json()["id"], "submit": True}

        accepted = post(quiet, "/v1/redemptions", wish, quiet.as_citizen(customer))
        captured = quiet.capture(offered, accepted.get_json()["id"])

        assert (accepted.status_code, captured.status_code) == (201, 201)
        assert found(quiet.runtime) == set()

    def test_break_none_when_she_renews_and_submits(self, quiet: Market) -> None:
        offered = quiet.offer()
        customer = quiet.customer(offered.partner_id)
        redemption_id = quiet.reserved(customer, offered)
        renewed(quiet, customer, offered)

        assert quiet.submit(customer, redemption_id).status_code == 201
        assert found(quiet.runtime) == set()


RECORD = "UPDATE redemption_record SET"
REDEMPTION_ROW = "UPDATE redemption SET"
SECOND = "WHERE redemption_id = %(id)s AND no = 2"
FIRST = "WHERE redemption_id = %(id)s AND no = 1"
CAPTURE = "WHERE redemption_id = %(id)s AND kind = 'capture'"
ROW = "WHERE id = %(id)s"
EVENT = "WHERE object_id = %(public_id)s AND object_version = 2"
END_CONSENT = "UPDATE consent SET valid_to = valid_from + interval '1 second' WHERE id"
FORCED = "jsonb_build_object('forced_resolution_id', 'frs_0')"
TELL_TWICE = """
INSERT INTO partner_event
SELECT partner_id, gen_random_uuid(), type, object, object_id, state, object_version
FROM partner_event
"""

DAMAGE = [
    (f"DELETE FROM redemption_record {SECOND}", "redemption-records-gapless"),
    (f"{RECORD} id = gen_random_uuid() {SECOND}", "redemption-records-gapless"),
    (f"{RECORD} partner_id = gen_random_uuid() {SECOND}", "redemption-records-gapless"),
    (
        f"DELETE FROM quote WHERE id = (SELECT quote_id FROM redemption {ROW})",
        "redemptions-have-no-strays",
    ),
    (f"{REDEMPTION_ROW} consent_id = gen_random_uuid() {ROW}", "redemptions-have-no-strays"),
    (f"DELETE FROM redemption {ROW}", "redemptions-have-no-strays"),
    (f"{RECORD} state = 'declined' {SECOND}", "redemption-steps-follow"),
    (f"{RECORD} kind = 'void' {SECOND}", "redemption-steps-follow"),
    (f"{REDEMPTION_ROW} state = 'settled' {ROW}", "redemptions-equal-records"),
    (f"{REDEMPTION_ROW} captured_points = 99 {ROW}", "redemptions-equal-records"),
    (f"{REDEMPTION_ROW} captured_subsidy_minor = 1 {ROW}", "redemptions-equal-records"),
    (f"{REDEMPTION_ROW} reversed_points = 1 {ROW}", "redemptions-equal-records"),
    (f"{REDEMPTION_ROW} closed_at = now() {ROW}", "redemptions-equal-records"),
    (f"{REDEMPTION_ROW} status_index = NULL {ROW}", "redemptions-equal-records"),
    (f"{REDEMPTION_ROW} matured_as = 'burn' {ROW}", "redemptions-equal-records"),
    (f"{REDEMPTION_ROW} void_requested_at = now() {ROW}", "redemptions-equal-records"),
    (f"{REDEMPTION_ROW} state_before = 'settled' {ROW}", "redemptions-equal-records"),
    (f"{REDEMPTION_ROW} deadline_at = now() {ROW}", "redemptions-are-watched"),
    (f"{RECORD} points = 99 {CAPTURE}", "redemptions-equal-transfers"),
    (f"{RECORD} posting_id = gen_random_uuid() {FIRST}", "redemptions-equal-transfers"),
    (f"{REDEMPTION_ROW} mode = 'attest' {ROW}", "redemptions-equal-transfers"),
    (f"{REDEMPTION_ROW} mode = 'lock' {ROW}", "redemptions-hold-what-they-may"),
    (f"{RECORD} reduction_g = 1 {CAPTURE}", "redemption-postings-equal-records"),
    (f"{RECORD} posting_id = NULL {CAPTURE}", "redemption-postings-equal-records"),
    (f"{RECORD} body = '{{}}' {CAPTURE}", "captures-as-quoted"),
    (f"{RECORD} actor_id = gen_random_uuid() {SECOND}", "redemption-steps-by-whom"),
    (f"{RECORD} actor_kind = 'partner' {SECOND}", "redemption-steps-by-whom"),
    (f"{RECORD} actor_kind = 'service' {CAPTURE}", "redemptions-rest-on-evidence"),
    (
        f"{RECORD} actor_kind = 'staff', body = jsonb_build_object('evidence', {FORCED}) {CAPTURE}",
        "staff-steps-rest-on-resolutions",
    ),
    (f"{RECORD} actor_kind = 'staff' {CAPTURE}", "staff-steps-rest-on-resolutions"),
    ("DELETE FROM consent_access WHERE about = %(public_id)s", "submissions-were-consented"),
    (f"{END_CONSENT} = (SELECT consent_id FROM redemption {ROW})", "submissions-were-consented"),
    (f"DELETE FROM partner_event {EVENT}", "one-event-for-each-record"),
    (f"UPDATE partner_event SET state = 'voided' {EVENT}", "one-event-for-each-record"),
    (f"{TELL_TWICE} {EVENT}", "one-event-for-each-record"),
]


class TestDamage:
    @pytest.mark.parametrize(("statement", "invariant"), DAMAGE)
    def test_is_found(self, market: Market, statement: str, invariant: str) -> None:
        offered = market.offer()
        redemption_id = market.captured(market.customer(offered.partner_id), offered)
        values = {"id": uuid_of(REDEMPTION, redemption_id), "public_id": redemption_id}

        before = breaking(market.runtime, invariant)
        after = breaking(market.runtime, invariant, statement, values)

        assert len(after) > len(before)

    def test_is_found_by_the_audit_itself(self, quiet: Market) -> None:
        offered = quiet.offer()
        redemption_id = quiet.captured(quiet.customer(offered.partner_id), offered)

        damaged(
            quiet.runtime,
            f"{RECORD} points = 99 {CAPTURE}",
            id=uuid_of(REDEMPTION, redemption_id),
        )

        assert "redemptions-equal-transfers" in found(quiet.runtime)


def breaking(
    runtime: Runtime,
    invariant: str,
    statement: str = "SELECT 1",
    values: Mapping[str, Any] | None = None,
) -> list[tuple[Any, ...]]:
    """Return what breaks an invariant after a statement of the superuser's that is taken back."""
    (query,) = (check.query for check in CHECKS if check.name == invariant)
    with psycopg.connect(runtime.settings.migration_database_url) as connection:
        connection.execute("SET session_replication_role = replica")
        for table in ("redemption_record", "quote", "partner_event"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        connection.execute(statement, values)
        rows = connection.execute(query).fetchall()
        connection.rollback()
    return rows
