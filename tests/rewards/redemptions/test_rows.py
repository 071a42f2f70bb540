"""What the application can change of a redemption's row, and what it cannot."""

import psycopg
import pytest

from service.ids import REDEMPTION, uuid_of
from service.rewards.redemptions.steps import CHANGING, FIXED, Redemption
from tests.rewards.market import Market

GRANTED = """
SELECT column_name::text FROM information_schema.column_privileges
WHERE table_name = 'redemption' AND privilege_type = 'UPDATE' AND grantee = current_user
"""


class TestTheRow:
    def test_can_change_where_steps_change_it(self, market: Market) -> None:
        with market.runtime.database.raw_transaction() as connection:
            granted = {row[0] for row in connection.execute(GRANTED)}

        assert granted == set(CHANGING)

    @pytest.mark.parametrize("column", Redemption._fields[:FIXED])
    def test_keeps_what_was_reserved(self, market: Market, column: str) -> None:
        offered = market.offer()
        redemption_id = market.reserved(market.customer(offered.partner_id), offered)
        change = f"UPDATE redemption SET {column} = {column} WHERE id = %s"

        with (
            pytest.raises(psycopg.errors.InsufficientPrivilege),
            market.runtime.database.raw_transaction() as connection,
        ):
            connection.execute(change.encode(), [uuid_of(REDEMPTION, redemption_id)])
