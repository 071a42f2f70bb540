"""`carbon expire`, `carbon extend` and `carbon audit`."""

from datetime import timedelta
from uuid import uuid4

from click.testing import CliRunner

from service import clock
from service.ledger.audit import Part
from service.ledger.commands import audit_command, expire_command, extend_command
from service.ledger.errors import CarryDateInvalid
from service.ledger.invariants import CHECKS
from service.runtime import Runtime
from tests.ledger.conftest import issue
from tests.ledger.damage import damaged

AUDIT = audit_command({"ledger": lambda _: Part(CHECKS)})
YESTERDAY = clock.today() - timedelta(days=1)


class TestTheExpireCommand:
    def test_says_what_it_booked(self, fresh_runtime: Runtime) -> None:
        issue(fresh_runtime, uuid4(), 5, 50, YESTERDAY)

        result = CliRunner().invoke(expire_command, obj=fresh_runtime)

        assert result.exit_code == 0
        assert "5 points and 50 g in 1 lots" in result.output

    def test_takes_a_day(self, fresh_runtime: Runtime) -> None:
        issue(fresh_runtime, uuid4(), 5, 50, YESTERDAY)

        result = CliRunner().invoke(
            expire_command, ["--as-of", YESTERDAY.isoformat()], obj=fresh_runtime
        )

        assert "0 points and 0 g in 0 lots" in result.output


class TestTheExtendCommand:
    TO = clock.today() + timedelta(days=90)
    DAYS = ("--from", clock.today().isoformat(), "--to", TO.isoformat())

    def test_counts_and_carries_nothing_by_itself(self, fresh_runtime: Runtime) -> None:
        issue(fresh_runtime, uuid4(), 5, 50, clock.today())

        for _ in range(2):
            result = CliRunner().invoke(extend_command, self.DAYS, obj=fresh_runtime)

            assert result.exit_code == 0
            assert "Nothing was carried" in result.output
            assert "5 points and 50 g in 1 lots" in result.output

    def test_carries_when_it_is_told_to(self, fresh_runtime: Runtime) -> None:
        issue(fresh_runtime, uuid4(), 5, 50, clock.today())
        issue(fresh_runtime, uuid4(), 5, 50, YESTERDAY)

        result = CliRunner().invoke(extend_command, [*self.DAYS, "--yes"], obj=fresh_runtime)
        again = CliRunner().invoke(extend_command, [*self.DAYS, "--yes"], obj=fresh_runtime)

        assert f"to {self.TO}: 5 points and 50 g in 1 lots" in result.output
        assert "0 points and 0 g in 0 lots" in again.output

    def test_refuses_a_day_that_has_passed(self, fresh_runtime: Runtime) -> None:
        days = ["--from", YESTERDAY.isoformat(), "--to", clock.today().isoformat()]

        for sure in ([], ["--yes"]):
            result = CliRunner().invoke(extend_command, [*days, *sure], obj=fresh_runtime)

            assert isinstance(result.exception, CarryDateInvalid)


class TestTheAuditCommand:
    def test_names_every_invariant(self, fresh_runtime: Runtime) -> None:
        result = CliRunner().invoke(AUDIT, obj=fresh_runtime)

        assert result.exit_code == 0
        assert all(check.name in result.output for check in CHECKS)

    def test_fails_with_the_first_difference_in_full(self, fresh_runtime: Runtime) -> None:
        citizen = uuid4()
        issue(fresh_runtime, citizen, 5, 50, clock.today())
        damaged(fresh_runtime, "UPDATE transfer SET points = 6")

        result = CliRunner().invoke(AUDIT, obj=fresh_runtime)

        assert result.exit_code == 1
        assert "BROKEN  lots-equal-transfers" in result.output
        assert str(citizen) in result.output
        assert '"issued_points": 6' in result.output
