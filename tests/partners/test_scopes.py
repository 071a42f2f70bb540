"""What a token may be used for."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jwt
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.partners.organisations import partner_by_id
from service.partners.profiles import Profile, change_profile, profile_of
from service.partners.scopes import HONOURING, VERIFYING, granted
from service.runtime import Runtime
from tests.partners.conftest import Client

BANK = frozenset({"bank"})
NONE: frozenset[str] = frozenset()
BOTH = frozenset({"source", "bank"})

Ask = Callable[..., TestResponse]
NewClient = Callable[..., Client]


def claims_of(answer: TestResponse) -> dict[str, Any]:
    token = answer.get_json()["access_token"]
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


class TestAGrant:
    def test_of_nothing_in_particular_is_of_everything(self) -> None:
        grant = granted(BOTH, None, "")

        assert grant is not None
        assert (grant.roles, grant.scopes) == (BOTH, HONOURING)

    def test_of_a_role_brings_its_scopes(self) -> None:
        grant = granted(BOTH, None, "bank")

        assert grant is not None
        assert (grant.roles, grant.scopes) == (BANK, HONOURING)

    def test_of_scopes_brings_no_role(self) -> None:
        asked = "events:read redemptions:capture"

        grant = granted(BOTH, None, asked)

        assert grant is not None
        assert (grant.roles, grant.scopes) == (NONE, frozenset(asked.split()))

    def test_of_a_role_and_another_scope_has_both(self) -> None:
        grant = granted(BOTH, None, "source events:read")

        assert grant is not None
        assert (grant.roles, grant.scopes) == (BOTH - BANK, frozenset({"events:read"}))

    def test_never_exceeds_the_profile(self) -> None:
        few = frozenset({"events:read"})

        everything, too_much = granted(BANK, few, ""), granted(BANK, few, "redemptions:read")

        assert everything is not None
        assert everything.scopes == few
        assert too_much is None

    @pytest.mark.parametrize("asked", ["persons:verify", "source", "no-such:scope"])
    def test_of_what_the_roles_do_not_bring_is_refused(self, asked: str) -> None:
        assert granted(BANK, None, asked) is None

    def test_lets_verifiers_alone_verify_persons(self) -> None:
        assert "persons:verify" in VERIFYING - HONOURING


class TestATokenOfABank:
    def test_carries_roles_and_scopes_by_default(self, a_client: NewClient, ask: Ask) -> None:
        answer = ask(a_client(roles=("bank",)).assertion())

        assert claims_of(answer)["roles"] == ["bank"]
        assert set(answer.get_json()["scope"].split()) == {"bank", *HONOURING}
        assert claims_of(answer)["scope"] == answer.get_json()["scope"]

    def test_may_be_narrowed_to_scopes(
        self, a_client: NewClient, ask: Ask, client: FlaskClient
    ) -> None:
        answer = ask(a_client(roles=("source", "bank")).assertion(), scope="events:read")

        assert answer.get_json()["scope"] == "events:read"
        assert claims_of(answer)["roles"] == []
        headers = {"Authorization": f"Bearer {answer.get_json()['access_token']}"}
        assert client.post("/v1/activity-batches", headers=headers).status_code == 403

    def test_is_held_to_the_partners_profile(
        self, a_client: NewClient, ask: Ask, runtime: Runtime
    ) -> None:
        bank = a_client(roles=("bank",))
        with runtime.database.raw_transaction() as connection:
            few = replace(profile_of(connection, bank.id), scopes=frozenset({"offers:read"}))
            change_profile(connection, partner_by_id(connection, bank.id), few)

        everything = ask(bank.assertion())
        more = ask(bank.assertion(), scope="redemptions:capture")

        assert everything.get_json()["scope"] == "bank offers:read"
        assert (more.status_code, more.get_json()["error"]) == (400, "invalid_scope")


class TestAProfile:
    def test_has_defaults(self, a_client: NewClient, runtime: Runtime) -> None:
        partner = a_client()

        with runtime.database.raw_transaction() as connection:
            assert profile_of(connection, partner.id) == Profile(partner.id)

    def test_is_written_down_with_each_change(self, a_client: NewClient, runtime: Runtime) -> None:
        bank = a_client(roles=("bank",))
        with runtime.database.raw_transaction() as connection:
            signing = Profile(bank.id, signatures="required")
            change_profile(connection, partner_by_id(connection, bank.id), signing)

        with runtime.database.raw_transaction() as connection:
            kinds = connection.execute(
                "SELECT kind FROM partner_change WHERE partner_id = %s ORDER BY recorded_at",
                [bank.id],
            ).fetchall()
            kept = profile_of(connection, bank.id)

        assert kept == signing
        assert kinds == [("added",), ("profile_changed",)]


def test_the_metadata_list_every_scope(client: FlaskClient) -> None:
    metadata = client.get("/.well-known/oauth-authorization-server").get_json()

    assert set(metadata["scopes_supported"]) >= HONOURING | VERIFYING
