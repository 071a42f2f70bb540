"""The log over HTTP, checked as a stranger would: from the answers and the key alone."""

from base64 import b64decode
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.app import create_app
from service.ids import TRANSFER, public_id
from service.ledger.accounts import lock_account
from service.ledger.issuing import Issue, issue_lots
from service.transparency.merkle import leaf_hash
from service.transparency.notes import Checkpoint, Verifier, open_checkpoint
from service.transparency.proof_files import verify_consistency_file, verify_proof_file
from service.transparency.sealer import sealing_connection
from service.transparency.sealing import seal
from service.transparency.verification import verify_inclusion
from service.web.context import access_tokens
from tests.transparency.books import Books

EXPIRES_ON = date(2030, 12, 31)

# Of a log with ten published leaves.
UNKNOWN_TILES = (
    *("0/000", "0/000.p/11", "0/001.p/1", "1/000.p/1", "entries/000", "entries/001.p/1"),
    *("0/000.p/0", "0/000.p/256", "0/0", "0/000.p/010", "64/000", "-1/000", "0/x000/000"),
    *("0/000.p/1/", "entries", "", "../checkpoint", "0/000.p/1%00", "0/\u0660\u0660\u0660"),
)
REFUSED_PROOFS = {
    "consistency": "validation-failed",
    "consistency?from=0": "validation-failed",
    "consistency?from=two": "validation-failed",
    "consistency?from=99999999999999999999": "validation-failed",
    "consistency?from=1_0": "validation-failed",
    "consistency?from=01": "validation-failed",
    "consistency?from=%201": "validation-failed",
    "consistency?from=%2B1": "validation-failed",
    "consistency?from=1%0A": "validation-failed",
    "consistency?from=1.0": "validation-failed",
    "consistency?from=\uff11": "validation-failed",
    "consistency?from=1&to=1_0": "validation-failed",
    "inclusion?leaf_index=00": "validation-failed",
    "inclusion?leaf_index=-0": "validation-failed",
    "inclusion?leaf_index=0&tree_size=\u0661": "validation-failed",
    "consistency?from=1&to=12": "outside-tree",
    "consistency?from=8&to=7": "outside-tree",
    "inclusion?leaf_index=11": "outside-tree",
    "inclusion?leaf_index=-1": "validation-failed",
    "inclusion?leaf_index=3&tree_size=3": "outside-tree",
    "inclusion?leaf_index=3&tree_size=0": "validation-failed",
    "inclusion?leaf_index=0&tree_size=12": "outside-tree",
}


@pytest.fixture
def app(books: Books) -> Flask:
    return create_app(replace(books.runtime, settings=books.settings))


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def as_citizen(app: Flask, citizen_id: UUID) -> dict[str, str]:
    with app.app_context():
        token = access_tokens().issue("citizen", citizen_id, roles=())
    return {"Authorization": f"Bearer {token}"}


def issue(books: Books, citizen_id: UUID) -> str:
    """Issue a point and return the transfer's public id."""
    transfer_id = uuid4()
    with books.runtime.database.raw_transaction() as connection:
        issues = [Issue(citizen_id.hex, transfer_id.hex, EXPIRES_ON.isoformat(), 7, 7000)]
        issue_lots(connection, lock_account(connection, citizen_id), issues)
    return public_id(TRANSFER, transfer_id)


def verifiers(client: FlaskClient) -> list[Verifier]:
    keys = client.get("/v1/log/keys").get_json()["items"]
    return [Verifier.parse(key["vkey"]) for key in keys]


def checkpoint(client: FlaskClient) -> Checkpoint:
    return open_checkpoint(client.get("/v1/log/checkpoint").text, verifiers(client))


def code_of(client: FlaskClient, path: str, **more: Any) -> tuple[int, str]:
    response = client.get(path, **more)
    return response.status_code, response.get_json()["code"]


class TestTheCheckpoint:
    def test_is_the_newest_signed_head(self, books: Books, client: FlaskClient) -> None:
        books.write(300)
        head = books.cycle()

        response = client.get("/v1/log/checkpoint")

        assert head
        assert response.text == head.note
        assert response.mimetype == "text/plain"
        assert response.headers["Cache-Control"] == "no-cache"

    def test_is_missed_before_the_first_one(self, client: FlaskClient) -> None:
        for path in (
            *("checkpoint", "tile/0/000.p/1"),
            *("proofs/consistency?from=1", "proofs/inclusion?leaf_index=0"),
        ):
            assert code_of(client, f"/v1/log/{path}") == (404, "log-empty")


class TestATile:
    def test_has_the_hashes_of_its_bundle(self, books: Books, client: FlaskClient) -> None:
        books.write(599)
        books.cycle()

        for name in ("000", "001", "002.p/88"):
            tile = client.get(f"/v1/log/tile/0/{name}").data
            bundle = client.get(f"/v1/log/tile/entries/{name}").data
            entries = [bundle[at : at + 34] for at in range(0, len(bundle), 34)]

            assert {each[:2] for each in entries} == {b"\x00\x20"}
            assert tile == b"".join(leaf_hash(each[2:]) for each in entries)
            assert len(entries) == (88 if "p" in name else 256)

    def test_is_kept_by_caches_for_ever(self, books: Books, client: FlaskClient) -> None:
        books.cycle()

        response = client.get("/v1/log/tile/0/000.p/1")

        assert response.mimetype == "application/octet-stream"
        assert "immutable" in response.headers["Cache-Control"]

    def test_of_an_older_head_stays(self, books: Books, client: FlaskClient) -> None:
        books.write(9)
        books.cycle()
        older = client.get("/v1/log/tile/0/000.p/10").data
        books.write(1000)
        books.cycle()

        assert client.get("/v1/log/tile/0/000.p/10").data == older
        assert client.get("/v1/log/tile/0/000").data[:320] == older
        assert len(client.get("/v1/log/tile/1/000.p/3").data) == 96

    def test_that_is_not_published_is_unknown(self, books: Books, client: FlaskClient) -> None:
        books.write(9)
        books.cycle()
        books.write(1000)
        with sealing_connection(books.settings) as connection:
            seal(connection)

        for name in UNKNOWN_TILES:
            assert client.get(f"/v1/log/tile/{name}").status_code == 404, name


class TestAProof:
    def test_of_consistency_joins_two_heads(self, books: Books, client: FlaskClient) -> None:
        heads = []
        for transfers in (3, 700, 300):
            books.write(transfers)
            books.cycle()
            heads.append(checkpoint(client))

        for old in heads:
            file = client.get(f"/v1/log/proofs/consistency?from={old.size}").data
            verify_consistency_file(file, old, heads[-1])
        file = client.get("/v1/log/proofs/consistency?from=4&to=704").data
        verify_consistency_file(file, heads[0], heads[1])

    def test_of_inclusion_finds_each_entry(self, books: Books, client: FlaskClient) -> None:
        books.write(300)
        books.cycle()
        head = checkpoint(client)

        for index, entry in enumerate(books.entries()):
            if index % 37 == 0:
                proof = client.get(f"/v1/log/proofs/inclusion?leaf_index={index}").get_json()
                path = [b64decode(each) for each in proof["inclusion_path"]]
                assert b64decode(proof["leaf_hash"]) == leaf_hash(entry)
                verify_inclusion(leaf_hash(entry), index, head.size, path, head.root)

    def test_of_what_is_not_there_is_refused(self, books: Books, client: FlaskClient) -> None:
        books.write(10)
        books.cycle()

        for query, code in REFUSED_PROOFS.items():
            assert code_of(client, f"/v1/log/proofs/{query}") == (422, code), query


class TestTheProofOfATransfer:
    def test_verifies_with_the_file_and_the_key_alone(
        self, books: Books, app: Flask, client: FlaskClient
    ) -> None:
        citizen = uuid4()
        transfers = []
        for others in (100, 700, 3):
            books.write(others)
            transfers.append(issue(books, citizen))
            books.write(others)
            books.cycle()

        for transfer in transfers:
            path = f"/v1/transfers/{transfer}/proof"
            file = client.get(path, headers=as_citizen(app, citizen)).data
            proof = verify_proof_file(file, verifiers(client))

            assert public_id(TRANSFER, proof.transfer.id) == transfer
            assert proof.transfer.citizen_id == citizen
            assert (proof.transfer.points, proof.transfer.kind) == (7, "issue")
            assert proof.checkpoint == checkpoint(client)

    def test_waits_for_a_head(self, books: Books, app: Flask, client: FlaskClient) -> None:
        citizen = uuid4()
        books.cycle()
        path = f"/v1/transfers/{issue(books, citizen)}/proof"

        before = client.get(path, headers=as_citizen(app, citizen))
        with sealing_connection(books.settings) as connection:
            seal(connection)
        between = client.get(path, headers=as_citizen(app, citizen))
        books.cycle()
        after = client.get(path, headers=as_citizen(app, citizen))

        for early in (before, between):
            assert (early.status_code, early.get_json()["code"]) == (409, "transfer-not-sealed")
            assert early.headers["Retry-After"] == "2"
        assert after.status_code == 200

    def test_is_hers_alone(self, books: Books, app: Flask, client: FlaskClient) -> None:
        path = f"/v1/transfers/{issue(books, uuid4())}/proof"
        books.cycle()

        assert code_of(client, path) == (401, "token-missing")
        assert code_of(client, path, headers=as_citizen(app, uuid4())) == (404, "id-unknown")

    def test_is_never_given_once_her_secret_is_gone(
        self, books: Books, app: Flask, client: FlaskClient
    ) -> None:
        citizen = uuid4()
        path = f"/v1/transfers/{issue(books, citizen)}/proof"
        books.cycle()
        with books.owner() as connection:
            connection.execute("UPDATE account SET secret = NULL WHERE citizen_id = %s", [citizen])

        assert code_of(client, path, headers=as_citizen(app, citizen)) == (404, "id-unknown")

    def test_is_not_given_where_the_log_is_damaged(
        self, books: Books, app: Flask, client: FlaskClient
    ) -> None:
        citizen = uuid4()
        path = f"/v1/transfers/{issue(books, citizen)}/proof"
        books.cycle()
        with books.owner() as connection:
            connection.execute("ALTER TABLE log_bundle DISABLE TRIGGER ALL")
            connection.execute("UPDATE log_bundle SET entries = sha256('') || sha256('')")

        assert code_of(client, path, headers=as_citizen(app, citizen)) == (503, "tile-unusable")
