"""Whether a partner may do something now, and that it is noted and counted exactly."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from psycopg.errors import CheckViolation

from service import clock
from service.errors import DomainError
from service.identity.consents.checking import (
    Consent,
    ask_consent,
    consent_from,
    consent_of_subject,
    log_access,
    refusal_of_use,
)
from service.identity.consents.errors import (
    ConsentExpired,
    ConsentMissing,
    ConsentRevoked,
    ConsentScope,
)
from service.ids import CONSENT, uuid_of
from service.pipelining import Connection
from service.runtime import Runtime
from tests.identity.conftest import Post, SignedInCitizen
from tests.identity.consents.conftest import DAY, Given, NewPartner, Read, in_days

Citizen = Callable[..., SignedInCitizen]
Open = Callable[[], AbstractContextManager[Connection]]

CALENDAR_DAY = {"period": "day", "alignment": "calendar", "max_uses": 4}


@pytest.fixture(params=["one by one", "gathered"])
def transaction(request: pytest.FixtureRequest, runtime: Runtime) -> Open:
    """Open a transaction of either kind."""

    @contextmanager
    def opened() -> Iterator[Connection]:
        database = runtime.database
        gathered = request.param == "gathered"
        with database.pipelined_transaction() if gathered else database.raw_transaction() as it:
            yield it

    return opened


def use(transaction: Open, consent_id: UUID, citizen_id: UUID, partner_id: UUID) -> str:
    """Use a consent once and return `done`, or the code of the refusal."""
    try:
        with transaction() as connection:
            consent = consent_from(ask_consent(connection, consent_id))
            consent.require(citizen_id=citizen_id, partner_id=partner_id, cluster="redemption")
            log_access(connection, consent, "redemption.submitted", "rdm_1", is_use=True)
    except CheckViolation as error:
        refusal = refusal_of_use(error)
        assert refusal is not None
        return refusal.code
    except DomainError as refusal:
        return refusal.code
    return "done"


class TestRequiring:
    def test_lets_through_what_she_agreed_to(
        self, a_citizen: Citizen, a_partner: NewPartner, given: Given, transaction: Open
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        consent_id = uuid_of(CONSENT, given(citizen, bank)["id"])

        with transaction() as connection:
            consent = consent_from(ask_consent(connection, consent_id))

        consent.require(citizen_id=citizen.id, partner_id=bank.id, cluster="tier")
        assert consent.data_clusters == {"tier", "redemption"}
        assert (consent.max_uses, consent.uses, consent.version) == (None, 0, 1)

    def test_says_that_there_is_none(self, transaction: Open) -> None:
        with pytest.raises(ConsentMissing), transaction() as connection:
            consent_from(ask_consent(connection, uuid4()))

    def test_refuses_another_citizen_another_partner_and_another_kind_of_data(
        self, a_citizen: Citizen, a_partner: NewPartner, given: Given, read: Read
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        consent = read(given(citizen, bank)["id"])

        with pytest.raises(ConsentMissing):
            consent.require(citizen_id=uuid4(), partner_id=bank.id)
        with pytest.raises(ConsentMissing):
            consent.require(citizen_id=citizen.id, partner_id=uuid4())
        with pytest.raises(ConsentScope):
            consent.require(citizen_id=citizen.id, partner_id=bank.id, cluster="streaks")


class TestAConsentOfASubject:
    def find(self, transaction: Open, partner_id: UUID, subject: str, cluster: str) -> Consent:
        with transaction() as connection:
            return consent_of_subject(connection, partner_id, subject, cluster)

    @pytest.mark.parametrize("subject", ["sub_" + "0" * 32, "", "x", "a\0b", "\ud800", "sub_é"])
    def test_that_nobody_has_is_missing(
        self, subject: str, a_partner: NewPartner, transaction: Open
    ) -> None:
        with pytest.raises(ConsentMissing):
            self.find(transaction, a_partner().id, subject, "tier")

    def test_is_the_one_that_covers_what_is_asked(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        given: Given,
        read: Read,
        transaction: Open,
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        benefit = read(given(citizen, bank)["id"])
        report = read(given(citizen, bank, purpose="report", data_clusters=["report"])["id"])

        found = {
            cluster: self.find(transaction, bank.id, benefit.subject, cluster).id
            for cluster in ("tier", "report")
        }

        assert found == {"tier": benefit.id, "report": report.id}
        with pytest.raises(ConsentScope):
            self.find(transaction, bank.id, benefit.subject, "streaks")

    def test_is_not_anothers(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        given: Given,
        read: Read,
        transaction: Open,
    ) -> None:
        subject = read(given(a_citizen(), a_partner())["id"]).subject

        with pytest.raises(ConsentMissing):
            self.find(transaction, a_partner().id, subject, "tier")

    def test_says_how_it_ended(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        given: Given,
        read: Read,
        post: Post,
        transaction: Open,
    ) -> None:
        citizen, bank, other = a_citizen(), a_partner(), a_partner()
        revoked = given(citizen, bank)
        post(f"/v1/consents/{revoked['id']}/revocations", headers=citizen.headers)
        lapsed = given(citizen, other, valid_to=in_days(1))

        with pytest.raises(ConsentRevoked):
            self.find(transaction, bank.id, read(revoked["id"]).subject, "tier")
        with clock.shifted(2 * DAY), pytest.raises(ConsentExpired):
            self.find(transaction, other.id, read(lapsed["id"]).subject, "tier")


class TestAUse:
    def test_is_hers_to_read(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        client: FlaskClient,
        given: Given,
        transaction: Open,
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        consent = given(citizen, bank)
        use(transaction, uuid_of(CONSENT, consent["id"]), citizen.id, bank.id)

        path = f"/v1/consents/{consent['id']}"
        by_consent = client.get(f"{path}/accesses", headers=citizen.headers).get_json()["items"]
        every = client.get("/v1/me/accesses", headers=citizen.headers).get_json()["items"]

        assert by_consent == every
        assert len(every) == 1
        assert every[0]["partner"] == bank.name
        assert every[0]["operation"] == "redemption.submitted"
        assert every[0]["about"] == "rdm_1"
        assert every[0]["is_use"] is True
        assert client.get(path, headers=citizen.headers).get_json()["uses"] == 1
        assert client.get(f"{path}/accesses", headers=bank.headers).status_code == 403

    def test_is_read_in_pages(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        client: FlaskClient,
        given: Given,
        transaction: Open,
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        consent_id = uuid_of(CONSENT, given(citizen, bank)["id"])
        for _ in range(5):
            use(transaction, consent_id, citizen.id, bank.id)

        seen: list[str] = []
        cursor = ""
        while cursor is not None:
            address = f"/v1/me/accesses?limit=2{cursor and '&cursor=' + cursor}"
            page = client.get(address, headers=citizen.headers).get_json()
            seen += [item["recorded_at"] for item in page["items"]]
            cursor = page["next"]

        assert seen == sorted(set(seen), reverse=True)
        assert len(seen) == 5

    def test_is_counted_exactly_by_fifty_at_once(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        given: Given,
        read: Read,
        transaction: Open,
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        consent = given(citizen, bank, max_uses=10)
        consent_id = uuid_of(CONSENT, consent["id"])

        with ThreadPoolExecutor(50) as pool:
            outcomes = list(
                pool.map(lambda _: use(transaction, consent_id, citizen.id, bank.id), range(50))
            )

        assert sorted(outcomes) == ["consent-uses-exhausted"] * 40 + ["done"] * 10
        assert read(consent["id"]).uses == 10

    def test_is_counted_in_each_period(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        given: Given,
        read: Read,
        transaction: Open,
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        consent = given(citizen, bank, max_uses=9, periodic_limits=[CALENDAR_DAY])
        consent_id = uuid_of(CONSENT, consent["id"])

        def outcomes(times: int) -> list[str]:
            return [use(transaction, consent_id, citizen.id, bank.id) for _ in range(times)]

        first_day = outcomes(6)
        with clock.shifted(DAY):
            second_day = outcomes(6)
        with clock.shifted(2 * DAY):
            third_day = outcomes(6)

        days = [day.count("done") for day in (first_day, second_day, third_day)]
        assert days == [4, 4, 1]
        assert read(consent["id"]).uses == 9

    def test_that_is_refused_leaves_no_access(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        client: FlaskClient,
        given: Given,
        transaction: Open,
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        consent_id = uuid_of(CONSENT, given(citizen, bank, max_uses=1)["id"])
        for _ in range(3):
            use(transaction, consent_id, citizen.id, bank.id)

        accesses = client.get("/v1/me/accesses", headers=citizen.headers).get_json()["items"]

        assert len(accesses) == 1

    def test_comes_wholly_before_or_after_a_revocation(
        self,
        a_citizen: Citizen,
        a_partner: NewPartner,
        given: Given,
        post: Post,
        runtime: Runtime,
        transaction: Open,
    ) -> None:
        citizen, bank = a_citizen(), a_partner()
        consent = given(citizen, bank)
        consent_id = uuid_of(CONSENT, consent["id"])

        def act(number: int) -> str:
            if number != 12:
                return use(transaction, consent_id, citizen.id, bank.id)
            path = f"/v1/consents/{consent['id']}/revocations"
            return str(post(path, headers=citizen.headers).status_code)

        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(act, range(50)))

        assert outcomes.count("201") == 1
        assert set(outcomes) <= {"201", "done", "consent-revoked"}
        with runtime.database.raw_transaction() as connection:
            query = (
                "SELECT count(*) FROM consent_access JOIN consent_change USING (consent_id)"
                " WHERE consent_id = %s AND kind = 'revoked'"
                " AND consent_access.recorded_at > consent_change.recorded_at"
            )
            assert connection.execute(query, [consent_id]).fetchone() == (0,)


def test_another_rule_that_failed_is_not_a_refusal_of_use(runtime: Runtime) -> None:
    with runtime.database.raw_transaction() as connection, pytest.raises(CheckViolation) as failed:
        connection.execute(
            "INSERT INTO citizen (citizen_id, state, last_seen_at) VALUES (%s, 'odd', now())",
            [uuid4()],
        )

    assert refusal_of_use(failed.value) is None
