"""She leaves while redemptions of hers are under way."""

import threading

from service.identity.consents.ending import hold_consents_of
from service.ids import REDEMPTION, uuid_of
from service.rewards.redemptions.submitting import Submitting
from tests.rewards.market import Market


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


def _until_somebody_waits(market: Market) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    for _ in range(200):
        with market.runtime.database.raw_transaction() as connection:
            if connection.execute(query).fetchall()[0][0]:
                return
    raise AssertionError("nobody waits")
