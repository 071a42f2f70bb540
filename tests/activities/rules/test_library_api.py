"""The library, over HTTP."""

from uuid import uuid4

from flask.testing import FlaskClient

from service.runtime import Runtime


class TestTheMethodologies:
    def test_are_open_to_everybody_with_formula_and_sources(self, client: FlaskClient) -> None:
        items = client.get("/v1/methodologies").get_json()["items"]

        metro = next(item for item in items if item["code"] == "metro_ride")
        assert metro["formula"]
        assert metro["conditions"]
        assert metro["sources"]
        assert metro["caps"][0]["limit"] == 5
        assert metro["uncertainty"] == "not stated"
        assert "440300" in metro["regions"]

    def test_can_be_asked_for_one_behavior(self, client: FlaskClient) -> None:
        items = client.get("/v1/methodologies?behavior=metro_ride").get_json()["items"]

        assert [item["code"] for item in items] == ["metro_ride", "metro_trip"]

    def test_are_read_page_by_page(self, client: FlaskClient) -> None:
        whole = client.get("/v1/methodologies").get_json()["items"]

        first = client.get("/v1/methodologies?limit=3").get_json()
        second = client.get(f"/v1/methodologies?limit=3&cursor={first['next']}").get_json()

        assert [*first["items"], *second["items"]] == whole[:6]

    def test_are_found_by_code_and_version(self, client: FlaskClient) -> None:
        answer = client.get("/v1/methodologies/metro_ride/versions/1").get_json()

        assert answer["activity_data"]["required"] == ["distance_m"]

    def test_of_another_name_do_not_exist(self, client: FlaskClient) -> None:
        for path in ("metro_ride/versions/99", "nothing/versions/1"):
            response = client.get(f"/v1/methodologies/{path}")

            assert response.get_json()["code"] == "methodology-not-found"

    def test_need_not_be_sent_twice(self, client: FlaskClient) -> None:
        first = client.get("/v1/methodologies/metro_ride/versions/1")

        again = client.get(
            "/v1/methodologies/metro_ride/versions/1",
            headers={"If-None-Match": first.headers["ETag"]},
        )

        assert first.headers["Cache-Control"] == "public, max-age=60"
        assert (again.status_code, again.data) == (304, b"")


class TestTheFactors:
    def test_carry_value_unit_region_dates_source_and_grade(self, client: FlaskClient) -> None:
        [item] = client.get("/v1/factors?key=metro_reduction&region=440300").get_json()["items"]

        assert item["value"] == "46.8"
        assert item["unit"] == "g_co2e/passenger_km"
        assert item["in_force_from"] == "2021-12-17"
        assert item["grade"] == "B/C"
        assert item["sources"]

    def test_without_a_source_say_what_they_wait_for(self, client: FlaskClient) -> None:
        [item] = client.get("/v1/factors?key=bus_default_distance").get_json()["items"]

        assert (item["status"], item["value"]) == ("awaiting-authority", None)
        assert item["note"]

    def test_that_were_entered_wait_for_a_second_person(
        self, client: FlaskClient, runtime: Runtime
    ) -> None:
        entry = uuid4()
        with runtime.database.raw_transaction() as connection:
            connection.execute(
                "INSERT INTO entered_factor (id, key, region, value, unit, in_force_from, source,"
                " grade, proposed_by) VALUES (%s, 'bus_default_distance', '420100', '4000',"
                " 'm/ride', '2099-01-01', 'a measurement of 2098, table 1', 'B', 'ann')",
                [entry],
            )

        answer = client.get("/v1/factors?key=bus_default_distance&region=420100").get_json()

        [item] = answer["items"]
        assert (item["entered"], item["status"]) == (str(entry), "awaiting-approval")
