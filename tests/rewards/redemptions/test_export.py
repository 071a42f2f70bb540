"""What she takes along of her redemptions and consents."""

from typing import Any

from service.identity.export import OF_HERS, SHARED, records_of
from service.runtime import Runtime
from tests.rewards.market import Customer, Market, a_person

BELONGS = """
SELECT table_name::text, column_name::text FROM information_schema.columns theirs
WHERE table_schema = 'public' AND column_name IN ('consent_id', 'redemption_id')
  AND NOT EXISTS (SELECT FROM information_schema.columns hers
                  WHERE hers.table_schema = 'public' AND hers.table_name = theirs.table_name
                    AND hers.column_name = 'citizen_id')
"""


def export_of(market: Market, customer: Customer) -> dict[str, Any]:
    with market.runtime.database.raw_transaction() as connection:
        return records_of(connection, customer.id)


class TestAnExport:
    def test_has_every_step_of_her_redemptions(self, market: Market) -> None:
        offered = market.offer()
        customer, other = (market.customer(offered.partner_id) for _ in "ab")
        market.captured(customer, offered)
        market.captured(other, offered)

        records = export_of(market, customer)

        kinds = [record["kind"] for record in records["redemption_record"]]
        assert sorted(kinds) == ["capture", "reservation", "submission"]

    def test_keeps_the_digest_of_a_person_back(self, market: Market) -> None:
        offered = market.offer(mode="attest")
        person_id = a_person()
        customer = market.customer(offered.partner_id, 0, person_id=person_id)
        market.reserved(customer, offered)

        records = export_of(market, customer)

        assert person_id.hex() not in str(records)
        assert records["redemption"][0]["mode"] == "attest"

    def test_forgets_no_table_that_belongs_to_hers(self, runtime: Runtime) -> None:
        with runtime.database.raw_transaction() as connection:
            found = dict(connection.execute(BELONGS).fetchall())

        named = {table: f"{parent}_id" for table, parent in OF_HERS.items()}
        assert {table: found[table] for table in found.keys() - SHARED} == named
