"""Ten ways to tamper with the books, as the database's own superuser: `carbon audit` names each."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from service.activities.audit import CHECKS as ACTIVITY_CHECKS
from service.ledger.audit import Finding, Part, audited
from service.ledger.commitments import COMMITMENT_IN_SQL
from service.ledger.holds import capture, hold
from service.ledger.invariants import CHECKS as LEDGER_CHECKS
from service.runtime import Runtime
from service.transparency.auditing import audited_log
from service.transparency.heads import origin_of
from service.transparency.keys import LogKeys
from service.transparency.notes import open_checkpoint, sign_checkpoint
from service.transparency.outside import Outside
from service.transparency.sealer import Sealer, sealing_connection
from tests.ledger.damage import damaged
from tests.ledger.town import Town, hours_ago, ride

LOG_TABLES = ("log_head", "log_seal", "log_tile", "log_bundle")
COMMIT_AGAIN = f"""
UPDATE transfer SET commitment = {COMMITMENT_IN_SQL}
FROM account WHERE account.citizen_id = transfer.citizen_id
"""
TWO_OF_A = (
    "(SELECT id FROM transfer WHERE citizen_id = %(a)s AND kind = 'issue' ORDER BY id LIMIT 2)"
)


@dataclass
class Books:
    """A town's honest and sealed books."""

    runtime: Runtime
    a: UUID
    b: UUID
    held: UUID

    def seal(self) -> None:
        """Let the sealer work once."""
        with sealing_connection(self.runtime.settings) as connection:
            Sealer(self.runtime.settings).cycle(connection)

    def damage(self, *statements: str, **values: object) -> None:
        """Do something as the superuser, with triggers taken off."""
        damaged(self.runtime, *statements, a=self.a, b=self.b, held=self.held, **values)

    def findings(self) -> dict[str, Finding]:
        """Return what an audit finds broken."""
        parts = [Part(LEDGER_CHECKS), audited_log(self.runtime), Part(ACTIVITY_CHECKS)]
        found = audited(self.runtime.database, parts)
        return {finding.name: finding for finding in found if finding.differences}


@pytest.fixture
def books(fresh_runtime: Runtime, tmp_path: Path) -> Books:
    """Rides that were certified, a hold, a capture; all of it in the log."""
    town = Town.founded(fresh_runtime, "a", "b")
    town.report([ride("a", start=hours_ago(hours)) for hours in (30, 20, 10)])
    town.report([ride("b", start=hours_ago(hours)) for hours in (30, 20, 10)])
    a, b, held = town.citizens["a"], town.citizens["b"], uuid4()
    with fresh_runtime.database.raw_transaction() as connection:
        hold(connection, a, held, 100).raise_refusal()
        capture(connection, a, uuid4(), held, 40, uuid4()).raise_refusal()
    settings = replace(fresh_runtime.settings, home=tmp_path, outside=tmp_path / "outside")
    made = Books(replace(fresh_runtime, settings=settings), a, b, held)
    made.seal()
    return made


def amount_changed(books: Books) -> None:
    books.damage("UPDATE transfer SET points = points + 1 WHERE citizen_id = %(b)s")


def row_deleted(books: Books) -> None:
    books.damage(f"DELETE FROM transfer WHERE id IN {TWO_OF_A} AND citizen_id = %(a)s")


def rows_swapped(books: Books) -> None:
    """Give two transfers each other's id: every sum stays what it was."""
    books.damage(
        "CREATE TEMP TABLE swapped AS"
        " SELECT min(id::text)::uuid AS one, max(id::text)::uuid AS other"
        f" FROM transfer WHERE citizen_id = %(a)s AND id IN {TWO_OF_A}",
        "UPDATE transfer SET id = gen_random_uuid() FROM swapped WHERE id = one",
        "UPDATE transfer SET id = one FROM swapped WHERE id = other",
        "UPDATE transfer SET id = other FROM swapped WHERE citizen_id = %(a)s AND kind = 'issue'"
        " AND id NOT IN (SELECT id FROM activity)",
    )


def lot_edited(books: Books) -> None:
    books.damage(
        "UPDATE lot SET issued_points = issued_points + 9, available_points = available_points + 9"
    )


def hold_orphaned(books: Books) -> None:
    books.damage(
        "DELETE FROM transfer WHERE hold_id = %(held)s AND kind = 'hold'",
        "DELETE FROM posting WHERE id = %(held)s",
        "UPDATE lot SET available_points = available_points + 100, available_g = available_g + 100,"
        " held_points = held_points - 60, held_g = held_g - 60,"
        " redeemed_points = 0, redeemed_g = 0 WHERE citizen_id = %(a)s AND held_points = 60",
    )


def issue_duplicated(books: Books) -> None:
    """Issue an activity's points once more under another id, with everything that belongs to it."""
    books.damage(
        "CREATE TEMP TABLE again AS SELECT * FROM transfer WHERE citizen_id = %(b)s LIMIT 1",
        "UPDATE again SET id = gen_random_uuid(), xact_id = pg_current_xact_id()",
        "INSERT INTO transfer SELECT * FROM again",
        "UPDATE lot SET issued_points = issued_points + points, issued_g = issued_g + reduction_g,"
        " available_points = available_points + points, available_g = available_g + reduction_g"
        " FROM again WHERE lot.citizen_id = %(b)s AND lot.expires_on = again.expires_on",
        COMMIT_AGAIN,
    )
    books.seal()


def leaf_changed(books: Books) -> None:
    books.damage("UPDATE log_bundle SET entries = overlay(entries PLACING sha256('other') FROM 33)")


def tile_changed(books: Books) -> None:
    books.damage("UPDATE log_tile SET hashes = overlay(hashes PLACING sha256('other') FROM 33)")


def head_signed_over_another_tree(books: Books) -> None:
    """Sign, with the log's own key, a head of the right size and another root."""
    settings = books.runtime.settings
    keys = LogKeys.at(settings.home / "keys")
    note = Outside(settings.outside).checkpoint() or ""
    with books.runtime.database.raw_transaction() as connection:
        origin = origin_of(connection, "")
    honest = open_checkpoint(note, keys.verifiers(origin))
    other = type(honest)(honest.origin, honest.size, bytes(32))
    books.damage(
        "UPDATE log_head SET checkpoint = %(note)s WHERE size = %(size)s",
        note=sign_checkpoint(other, keys.signers(origin)),
        size=honest.size,
    )


def hour_rewritten(books: Books) -> None:
    """Change an amount and make everything anew: lots, commitments, tree, signatures."""
    books.damage(
        "UPDATE transfer SET points = points + 1 WHERE citizen_id = %(b)s",
        "UPDATE activity SET points = points + 1 WHERE citizen_id = %(b)s",
        "UPDATE lot SET issued_points = issued_points + moved, available_points = available_points"
        " + moved FROM (SELECT count(*) AS moved FROM transfer WHERE citizen_id = %(b)s) AS n"
        " WHERE lot.citizen_id = %(b)s",
        "UPDATE activity_batch SET points = points + 3 WHERE points > 0"
        " AND id = (SELECT batch_id FROM activity WHERE citizen_id = %(b)s LIMIT 1)",
        COMMIT_AGAIN,
        *(f"DELETE FROM {table}" for table in LOG_TABLES),
    )
    outside = Outside(books.runtime.settings.outside).folder / "checkpoint"
    kept = outside.read_text()
    outside.unlink()
    books.seal()
    outside.write_text(kept)  # where the tamperer does not reach


@pytest.mark.parametrize(
    ("tamper", "name"),
    [
        (amount_changed, "commitments-equal-transfers"),
        (row_deleted, "log-has-what-was-committed"),
        (rows_swapped, "commitments-equal-transfers"),
        (lot_edited, "lots-equal-transfers"),
        (hold_orphaned, "holds-add-up"),
        (issue_duplicated, "issues-equal-certified"),
        (leaf_changed, "log-has-what-was-committed"),
        (tile_changed, "tiles-follow-from-entries"),
        (head_signed_over_another_tree, "heads-are-signed-roots"),
        (hour_rewritten, "log-continues-the-outside-head"),
    ],
)
def test_tampering_is_found_and_named(
    books: Books, tamper: Callable[[Books], None], name: str
) -> None:
    assert books.findings() == {}

    tamper(books)

    found = books.findings()
    assert name in found
    assert found[name].first


def test_a_rewritten_hour_is_told_by_nothing_but_the_head_outside(books: Books) -> None:
    hour_rewritten(books)

    assert set(books.findings()) == {"log-continues-the-outside-head"}
