"""What the log is told of a transfer: both languages agree, and every field counts."""

import hashlib
import secrets
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from service import clock
from service.ledger.chart import CHART
from service.ledger.commitments import (
    ALONE,
    COMMITMENT_IN_SQL,
    Placed,
    commitment,
    salt_of,
)
from service.ledger.transfers import day_sent
from service.runtime import Runtime
from tests.ledger.wallets import Wallet, days_from_now

LAPSED, SOON, LATER = days_from_now(-1), days_from_now(10), days_from_now(100)

COMPARE = f"""
SELECT kind, commitment = {COMMITMENT_IN_SQL}
FROM transfer JOIN account USING (citizen_id) WHERE citizen_id = %s
"""

READ_FIELDS = """
SELECT transfer.citizen_id, id, kind, expires_on::text, points, reduction_g,
       timestamptz_send(recorded_at), posting_id, line, hold_id, hold_line, of_id, party,
       commitment, account.secret
FROM transfer JOIN account USING (citizen_id) WHERE citizen_id = %s
"""


def a_citizen_with_every_kind(runtime: Runtime) -> Wallet:
    """Make one transfer of each kind of the chart at least."""
    wallet = Wallet.with_lots(runtime, (10, 37, LAPSED), (100, 370, SOON), (200, 410, LATER))
    held = wallet.hold(130)
    wallet.release(held.id, 50)
    capture = wallet.capture(held.id, 60)
    wallet.restore(capture.id, 20)
    wallet.pool(capture.id)
    wallet.donate(5)
    wallet.expire()
    false_one = wallet.issue(500, 17, SOON)
    wallet.extend(SOON, LATER)
    wallet.retire(600)
    wallet.invalidate(false_one)
    wallet.issue(600, 18, LATER)
    return wallet


@pytest.fixture(scope="module")
def wallet(runtime: Runtime) -> Wallet:
    return a_citizen_with_every_kind(runtime)


class TestEveryKind:
    def test_occurs_in_these_tests(self, wallet: Wallet) -> None:
        assert {line[0] for line in wallet.transfers()} == {way.kind for way in CHART}

    def test_is_committed_to_alike_by_the_database(self, wallet: Wallet) -> None:
        compared = wallet.read(COMPARE, wallet.citizen_id)

        assert [kind for kind, is_same in compared if not is_same] == []

    def test_is_committed_to_by_what_is_stored_of_it(self, wallet: Wallet) -> None:
        for row in wallet.read(READ_FIELDS, wallet.citizen_id):
            citizen, each, kind, day, points, grams, moment, *placed, committed, secret = row

            again = commitment(
                salt_of(secret, each.bytes),
                citizen.bytes,
                each.bytes,
                kind,
                day_sent(day),
                points,
                grams,
                moment,
                placed_as(*placed),
            )

            assert again == committed


def placed_as(
    posting_id: UUID | None,
    line: int,
    hold_id: UUID | None,
    hold_line: int | None,
    of_id: UUID | None,
    party: UUID | None,
) -> Placed:
    def named(each: UUID | None) -> str:
        return each.hex if each else ""

    number = -1 if hold_line is None else hold_line
    return Placed(named(posting_id), line, named(hold_id), number, named(of_id), named(party))


A_UUID = "11111111111141118111111111111111"
AN_ID = bytes.fromhex(A_UUID)
PLACED = Placed(A_UUID, 1, A_UUID, 1, A_UUID, A_UUID)
FIELDS: dict[str, Any] = {
    "salt": bytes(32),
    "citizen_id": bytes(16),
    "transfer_id": bytes(16),
    "kind": "hold",
    "expires_on": day_sent("2029-03-31"),
    "points": 5,
    "reduction_g": 11,
    "recorded_at": bytes(8),
    "placed": PLACED,
}


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("salt", b"\x01" + bytes(31)),
        ("citizen_id", bytes(15) + b"\x01"),
        ("transfer_id", bytes(15) + b"\x01"),
        ("kind", "issue"),
        ("expires_on", day_sent("2029-04-01")),
        ("points", 6),
        ("reduction_g", 12),
        ("recorded_at", bytes(7) + b"\x01"),
        ("placed", ALONE),
        ("placed", PLACED._replace(posting_id=uuid4().hex)),
        ("placed", PLACED._replace(posting_id="")),
        ("placed", PLACED._replace(line=2)),
        ("placed", PLACED._replace(hold_id=uuid4().hex)),
        ("placed", PLACED._replace(hold_line=2)),
        ("placed", PLACED._replace(hold_line=-1)),
        ("placed", PLACED._replace(hold_line=0)),
        ("placed", PLACED._replace(of_id=uuid4().hex)),
        ("placed", PLACED._replace(of_id="")),
        ("placed", PLACED._replace(party=uuid4().hex)),
        ("placed", PLACED._replace(party="")),
    ],
)
def test_changing_a_field_changes_the_commitment(name: str, other: Any) -> None:
    assert commitment(**{**FIELDS, name: other}) != commitment(**FIELDS)


def test_an_id_in_another_place_is_another_commitment() -> None:
    places = (Placed(posting_id=A_UUID), Placed(of_id=A_UUID), Placed(party=A_UUID))

    assert len({commitment(**{**FIELDS, "placed": placed}) for placed in places}) == 3


def test_points_and_grams_are_not_mistaken_for_each_other() -> None:
    swapped = {**FIELDS, "points": 11, "reduction_g": 5}

    assert commitment(**swapped) != commitment(**FIELDS)


@pytest.mark.parametrize(
    ("placed", "fields"),
    [
        (PLACED, [AN_ID, b"\0\1", AN_ID, b"\0\1", AN_ID, AN_ID]),
        (ALONE, [b"", b"\0\0", b"", b"", b"", b""]),
        (Placed(line=1, of_id=A_UUID), [b"", b"\0\1", b"", b"", AN_ID, b""]),
        (Placed(A_UUID, 2, party=A_UUID), [AN_ID, b"\0\2", b"", b"", b"", AN_ID]),
    ],
)
def test_it_is_a_digest_of_the_fields_each_with_its_length(
    placed: Placed, fields: list[bytes]
) -> None:
    encoded = [
        *(bytes(32), b"carbon-transfer/1", bytes(16), bytes(16), b"hold"),
        *((date(2029, 3, 31) - date(2000, 1, 1)).days.to_bytes(4), (5).to_bytes(8)),
        *((11).to_bytes(8), bytes(8), *fields),
    ]
    expected = hashlib.sha256(b"".join(len(each).to_bytes(2) + each for each in encoded))

    assert commitment(**{**FIELDS, "placed": placed}) == expected.digest()


class TestAnErasedCitizen:
    def test_gets_transfers_that_nobody_can_open(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        self.erase(wallet)

        held = wallet.hold(10)
        with clock.shifted(LATER - clock.today()):
            wallet.release(held.id)
            wallet.expire()

        rows = wallet.read(
            f"SELECT kind, commitment, {COMMITMENT_IN_SQL} FROM transfer"
            " JOIN account USING (citizen_id) WHERE citizen_id = %s",
            wallet.citizen_id,
        )
        assert {kind for kind, *_ in rows} == {"issue", "hold", "release", "expire"}
        assert {again for _, _, again in rows} == {None}
        assert len({committed for _, committed, _ in rows}) == len(rows)

    def test_gets_a_new_salt_each_time(self) -> None:
        assert salt_of(None, bytes(16)) != salt_of(None, bytes(16))
        assert len(salt_of(None, bytes(16))) == 32

    def test_does_not_get_a_new_secret_with_the_next_lock(self, runtime: Runtime) -> None:
        wallet = Wallet.with_lots(runtime, (10, 37, SOON))
        self.erase(wallet)

        wallet.hold(1)

        assert wallet.read(
            "SELECT secret FROM account WHERE citizen_id = %s", wallet.citizen_id
        ) == [(None,)]

    @staticmethod
    def erase(wallet: Wallet) -> None:
        with psycopg.connect(wallet.runtime.settings.eraser_database_url) as connection:
            connection.execute(
                "UPDATE account SET secret = NULL WHERE citizen_id = %s", (wallet.citizen_id,)
            )


def test_everybody_has_a_secret_of_her_own(runtime: Runtime) -> None:
    wallets = [Wallet.with_lots(runtime, (10, 37, SOON)) for _ in range(2)]

    found = [
        wallet.read("SELECT secret FROM account WHERE citizen_id = %s", wallet.citizen_id)[0][0]
        for wallet in wallets
    ]

    assert len(set(found)) == 2
    assert {len(secret) for secret in found} == {32}


def test_a_salt_opens_one_transfer_only() -> None:
    secret, ids = secrets.token_bytes(32), [uuid4().bytes for _ in range(2)]

    assert salt_of(secret, ids[0]) != salt_of(secret, ids[1])
    assert salt_of(secret, ids[0]) == salt_of(secret, ids[0])
