"""What citizens are told of the organisation to which they consent."""

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from flask.testing import FlaskClient

from service.identity.consents.commands import consent_group
from service.runtime import Runtime
from tests.identity.conftest import SignedInCitizen
from tests.identity.consents.conftest import Given, KnownPartner, NewPartner

Citizen = Callable[..., SignedInCitizen]
Describe = Callable[..., Result]


@pytest.fixture
def describe(runtime: Runtime) -> Describe:
    def run(partner: KnownPartner, name: str, contact: str) -> Result:
        words = ("recipient", "--partner", partner.name, "--name", name, "--contact", contact)
        return CliRunner().invoke(consent_group, words, obj=runtime)

    return run


class TestARecipient:
    def test_is_named_in_the_words(
        self, a_citizen: Citizen, a_partner: NewPartner, describe: Describe, given: Given
    ) -> None:
        bank = a_partner()
        described = describe(bank, "港湾银行股份有限公司", "dpo@bank.example")

        words = given(a_citizen(), bank)["words"]

        assert json.loads(described.output)["partner"] == bank.name
        assert words["recipient"]["name"] == "港湾银行股份有限公司"
        assert "dpo@bank.example" in words["chinese"]
        assert "港湾银行股份有限公司" in words["english"]

    def test_that_is_described_otherwise_leaves_earlier_consents_as_they_were(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        client: FlaskClient,
        describe: Describe,
        given: Given,
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        describe(bank, "{until} {0} {", "before")
        before = given(citizen, bank)

        describe(bank, "After", "after")

        after = client.get(f"/v1/consents/{before['id']}", headers=citizen.headers).get_json()
        assert after == before
        assert "{until} {0} {" in after["words"]["english"]

    @pytest.mark.parametrize(("name", "contact"), [("", "x"), ("x", ""), ("x" * 201, "x")])
    def test_cannot_be_described_by_anything(
        self, name: str, contact: str, a_partner: NewPartner, describe: Describe
    ) -> None:
        assert describe(a_partner(), name, contact).exception is not None
