"""Partners: registered with public keys, found by name, suspended, given new keys."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from service.ids import PARTNER, uuid_of
from service.partners.commands import group
from service.partners.errors import (
    KeySetInvalid,
    PartnerNameTaken,
    PartnerTermsInvalid,
    PartnerUnknown,
)
from service.partners.key_sets import checked_key_set
from service.partners.organisations import (
    PartnerTerms,
    add_partner,
    forget_remembered,
    partner_by_id,
    partner_by_name,
    set_state,
)
from service.runtime import Runtime


def public_key() -> dict[str, Any]:
    return dict(ECKey.generate_key("P-256").as_dict(private=False))


def terms(**changed: Any) -> PartnerTerms:
    plain: dict[str, Any] = {
        "name": f"partner-{uuid4().hex[:12]}",
        "roles": frozenset({"source"}),
        "jwks": {"keys": [public_key()]},
    }
    return PartnerTerms(**plain | changed)


class TestRegistering:
    def test_is_found_by_name_and_id(self, runtime: Runtime) -> None:
        with runtime.database.raw_transaction() as connection:
            added = add_partner(connection, terms(region="110000", settlement_delay_days=2))

            assert partner_by_name(connection, added.name) == added
            assert partner_by_id(connection, added.id) == added
        assert (added.region, added.settlement_delay_days) == ("110000", 2)
        assert added.is_active

    @pytest.mark.parametrize(
        "changed",
        [
            {"name": "Metro"},
            {"name": "city metro"},
            {"name": "metro-"},
            {"name": ""},
            {"name": "地铁"},
            {"name": "x" * 65},
            {"name": "metro\n"},
            {"roles": frozenset()},
            {"roles": frozenset({"king"})},
            {"region": "44030"},
            {"region": "４４０３００"},
            {"settlement_delay_days": -1},
            {"settlement_delay_days": 91},
        ],
        ids=repr,
    )
    def test_on_wrong_terms_is_refused(self, runtime: Runtime, changed: dict[str, Any]) -> None:
        with (
            runtime.database.raw_transaction() as connection,
            pytest.raises(PartnerTermsInvalid),
        ):
            add_partner(connection, terms(**changed))

    def test_a_taken_name_is_refused(self, runtime: Runtime) -> None:
        with runtime.database.raw_transaction() as connection:
            added = add_partner(connection, terms())

            with pytest.raises(PartnerNameTaken):
                add_partner(connection, terms(name=added.name))

    def test_unknown_is_said_so(self, runtime: Runtime) -> None:
        with runtime.database.raw_transaction() as connection:
            with pytest.raises(PartnerUnknown):
                partner_by_name(connection, "nobody")
            with pytest.raises(PartnerUnknown):
                partner_by_id(connection, uuid4())


class TestSuspending:
    def test_is_seen_at_once_here_and_written_down(self, runtime: Runtime) -> None:
        with runtime.database.raw_transaction() as connection:
            added = add_partner(connection, terms())
            partner_by_id(connection, added.id)

            set_state(connection, added, active=False, reason="under inquiry")

            assert not partner_by_id(connection, added.id).is_active
            query = "SELECT kind FROM partner_change WHERE partner_id = %s ORDER BY recorded_at"
            changes = connection.execute(query, [added.id]).fetchall()
        assert changes == [("added",), ("suspended",)]

    def test_is_remembered_for_seconds_by_other_processes(self, runtime: Runtime) -> None:
        with runtime.database.raw_transaction() as connection:
            added = add_partner(connection, terms())
            partner_by_id(connection, added.id)
            connection.execute("UPDATE partner SET state = 'suspended' WHERE id = %s", [added.id])

            assert partner_by_id(connection, added.id).is_active
            forget_remembered()
            assert not partner_by_id(connection, added.id).is_active


class TestAKeySet:
    @pytest.mark.parametrize(
        "key",
        [
            ECKey.generate_key("P-256"),
            OKPKey.generate_key("Ed25519"),
            RSAKey.generate_key(2048),
        ],
        ids=["P-256", "Ed25519", "RSA-2048"],
    )
    def test_of_strong_public_keys_is_kept(self, key: ECKey | OKPKey | RSAKey) -> None:
        kept = checked_key_set({"keys": [{**key.as_dict(private=False), "alg": "any"}]})

        assert kept["keys"][0]["kid"] == key.thumbprint()
        assert "alg" not in kept["keys"][0]

    @pytest.mark.parametrize(
        "jwks",
        [
            None,
            [],
            {},
            {"keys": []},
            {"keys": {}},
            {"keys": [None]},
            {"keys": ["x"]},
            {"keys": [{}]},
            {"keys": [{"kty": "EC"}]},
            {"keys": [{"kty": []}]},
            {"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]},
            {"keys": [{"kty": "EC", "crv": "P-256", "x": 1, "y": 2}]},
            {"keys": [{"kty": "RSA", "n": "AQ", "e": "AQAB"}]},
            {"keys": [ECKey.generate_key("P-256").as_dict(private=True)]},
            {"keys": [RSAKey.generate_key(2048).as_dict(private=True)]},
            {"keys": [OKPKey.generate_key("Ed25519").as_dict(private=True)]},
            {"keys": [OctKey.generate_key(256).as_dict(private=True)]},
            {"keys": [ECKey.generate_key("P-384").as_dict(private=False)]},
            {"keys": [OKPKey.generate_key("X25519").as_dict(private=False)]},
            {"keys": [{**public_key(), "use": "enc"}]},
            {"keys": [{**public_key(), "kid": 7}]},
            {"keys": [{**public_key(), "kid": "a\x00"}]},
            {"keys": [{**public_key(), "kid": "same"}, {**public_key(), "kid": "same"}]},
            {"keys": [public_key() for _ in range(11)]},
        ],
        ids=range(24),
    )
    def test_of_anything_else_is_refused(self, jwks: Any) -> None:
        with pytest.raises(KeySetInvalid):
            checked_key_set(jwks)


@pytest.fixture
def carbon(runtime: Runtime) -> Callable[..., Result]:
    def run(*words: str) -> Result:
        return CliRunner().invoke(group, words, obj=runtime)

    return run


@pytest.fixture
def key_set_file(tmp_path: Path) -> str:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [public_key()]}))
    return str(path)


class TestTheCommandLine:
    def test_adds_a_partner_and_prints_its_client_id(
        self, carbon: Callable[..., Result], key_set_file: str, runtime: Runtime
    ) -> None:
        name = f"metro-{uuid4().hex[:8]}"

        added = carbon(
            "add", "--name", name, "--role", "source", "--role", "bank", "--jwks", key_set_file,
            "--region", "440300", "--link-proof", "source", "--settlement-delay-days", "1",
        )  # fmt: skip

        shown = json.loads(added.output)
        assert shown["roles"] == ["bank", "source"]
        with runtime.database.raw_transaction() as connection:
            partner = partner_by_name(connection, name)
        assert uuid_of(PARTNER, shown["client_id"]) == partner.id
        assert (partner.link_proof, partner.settlement_delay_days) == ("source", 1)

    def test_suspends_resumes_and_rotates(
        self, carbon: Callable[..., Result], key_set_file: str
    ) -> None:
        name = f"metro-{uuid4().hex[:8]}"
        carbon("add", "--name", name, "--role", "source", "--jwks", key_set_file)

        results = [
            carbon("suspend", "--name", name, "--reason", "ticket 1"),
            carbon("resume", "--name", name, "--reason", "ticket 1 closed"),
            carbon("rotate-keys", "--name", name, "--jwks", key_set_file),
        ]

        assert [result.exit_code for result in results] == [0, 0, 0]
        assert [json.loads(result.output).get("state") for result in results] == [
            "suspended",
            "active",
            None,
        ]
        listed = [json.loads(line) for line in carbon("list").output.splitlines()]
        assert name in [partner["name"] for partner in listed]

    def test_refuses_a_file_that_is_no_key_set(
        self, carbon: Callable[..., Result], tmp_path: Path
    ) -> None:
        path = tmp_path / "jwks.json"
        path.write_text("[" * 100_000)

        result = carbon("add", "--name", "metro-x", "--role", "source", "--jwks", str(path))

        assert isinstance(result.exception, KeySetInvalid)
