"""What a citizen takes along: everything that names her, except keys."""

from collections.abc import Callable

from flask.testing import FlaskClient

from service.identity.export import WITHHELD, tables_of_citizens
from service.runtime import Runtime
from tests.identity.conftest import KnownSource, Post, SignedInCitizen

Citizen = Callable[..., SignedInCitizen]


def columns_in_catalogue(runtime: Runtime) -> set[tuple[str, str]]:
    """Return every column of every table that names a citizen, as PostgreSQL itself lists them."""
    query = (
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0"
        " AND EXISTS (SELECT FROM pg_attribute n"
        " WHERE n.attrelid = c.oid AND n.attname = 'citizen_id')"
    )
    with runtime.database.raw_transaction() as connection:
        return set(connection.execute(query).fetchall())


class TestAnExport:
    def test_covers_every_column_that_is_not_withheld(self, runtime: Runtime) -> None:
        with runtime.database.raw_transaction() as connection:
            tables = tables_of_citizens(connection)

        covered = {(table, column) for table, columns in tables.items() for column in columns}
        assert covered == columns_in_catalogue(runtime) - WITHHELD

    def test_withholds_only_what_exists(self, runtime: Runtime) -> None:
        assert columns_in_catalogue(runtime) >= WITHHELD

    def test_shows_her_number_and_her_links(
        self,
        a_citizen: Citizen,
        a_source: Callable[..., KnownSource],
        post: Post,
        client: FlaskClient,
    ) -> None:
        citizen = a_citizen()
        body = {"source": a_source().name, "account_ref": "6217-0001-2345"}
        post("/v1/me/source-links", body, headers=citizen.headers)

        export = client.get("/v1/me/exports", headers=citizen.headers).get_json()

        assert export["phone"] == citizen.phone
        assert export["records"]["source_link"][0]["account_masked"] == "****2345"
        assert export["records"]["citizen"][0]["state"] == "active"

    def test_shows_nobody_else(self, a_citizen: Citizen, client: FlaskClient) -> None:
        mine, other = a_citizen(), a_citizen()

        export = client.get("/v1/me/exports", headers=mine.headers).get_data(as_text=True)

        assert str(other.id) not in export
        assert str(mine.id) in export

    def test_holds_no_secret(
        self, a_citizen: Citizen, client: FlaskClient, runtime: Runtime
    ) -> None:
        citizen = a_citizen()

        export = client.get("/v1/me/exports", headers=citizen.headers).get_data(as_text=True)

        with runtime.database.raw_transaction() as connection:
            query = (
                "SELECT encode(secret, 'hex'), encode(data_key_wrapped, 'hex')"
                " FROM citizen_secret JOIN citizen_identity USING (citizen_id)"
                " WHERE citizen_id = %s"
            )
            secrets = connection.execute(query, [citizen.id]).fetchall()[0]
        assert not [secret for secret in secrets if secret in export]
