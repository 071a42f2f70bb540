"""She leaves while redemptions of hers are under way."""

import threading

from service.identity.consents.ending import hold_consents_of
from service.identity.consequences import Consequences
from service.identity.erasure import begin_erasure, complete_erasure
from service.ids import REDEMPTION, uuid_of
from service.rewards.redemptions.submitting import Submitting
from tests.rewards.market import Customer, Market
from tests.rewards.redemptions.staff import resolve
from tests.rewards.redemptions.test_disputes import disputed


def leave(market: Market, customer: Customer) -> None:
    with market.runtime.database.transaction() as session:
        begin_erasure(session, customer.id, "citizen", Consequences())
    with market.runtime.eraser.raw_transaction() as connection:
        complete_erasure(connection, customer.id)


def words_of(market: Market, customer: Customer) -> int:
    with market.runtime.database.raw_transaction() as connection:
        query = "SELECT count(*) FROM dispute_words WHERE citizen_id = %s"
        return int(connection.execute(query, [customer.id]).fetchall()[0][0])


class TestLeavingWhileSubmitting:
    def test_waits_for_nobody_who_waits_for_her(self, market: Market) -> None:
        """Consents are locked before their citizen, by whoever submits too."""
        offered = market.offer()
        customer = market.customer(offered.partner_id)
        wanted = uuid_of(REDEMPTION, market.reserved(customer, offered))
        asked = threading.Event()

        def submit() -> None:
            with market.runtime.database.raw_transaction() as connection:
                asked.set()
                Submitting(connection, customer.id, wanted)

        submitter = threading.Thread(target=submit)
        with market.runtime.database.raw_transaction() as connection:
            hold_consents_of(connection, customer.id)
            submitter.start()
            asked.wait()
            _until_somebody_waits(market)
            connection.execute("SET LOCAL lock_timeout = '2s'")
            lock = "SELECT state FROM citizen WHERE citizen_id = %s FOR UPDATE"
            locked = connection.execute(lock, [customer.id]).fetchone()
        submitter.join()

        assert locked == ("active",)


class TestADisputeOfSomebodyWhoHasLeft:
    def test_is_decided_without_a_word_that_would_stay(self, market: Market) -> None:
        offered = market.offer()
        customer = market.customer(offered.partner_id)
        redemption_id = disputed(market, customer, offered)
        leave(market, customer)

        decided = resolve(market, redemption_id, "settled")

        assert decided.status_code == 201, decided.get_json()
        assert words_of(market, customer) == 0


def _until_somebody_waits(market: Market) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    for _ in range(200):
        with market.runtime.database.raw_transaction() as connection:
            if connection.execute(query).fetchall()[0][0]:
                return
    raise AssertionError("nobody waits")
