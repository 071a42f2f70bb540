"""Texts and moments in a query, and moments in a body, that ordinary readers choke on."""

import pytest
from flask.testing import FlaskClient
from marshmallow import Schema, ValidationError

from service.web.query_values import Moment

SOMETIME = Schema.from_dict({"at": Moment()})


class TestATextInAQuery:
    @pytest.mark.parametrize("sent", ["%00", "a%00b", "%07", "%C2%85"])
    def test_is_refused_where_it_holds_a_control_character(
        self, probe: FlaskClient, sent: str
    ) -> None:
        response = probe.get(f"/v1/offers?partner={sent}")

        assert response.status_code == 422
        assert response.get_json()["code"] == "text-invalid"
        assert response.get_json()["errors"][0]["parameter"] == "partner"


class TestAMoment:
    @pytest.mark.parametrize(
        "said",
        ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"],
    )
    def test_is_refused_where_it_is_outside_of_our_calendar(self, said: str) -> None:
        with pytest.raises(ValidationError, match="Not a valid datetime"):
            SOMETIME().load({"at": said})

    @pytest.mark.parametrize("said", ["9999-12-31T23:59:59+08:00", "2026-02-03t04:05:06z"])
    def test_is_understood_where_it_has_a_day_in_shanghai(self, said: str) -> None:
        assert SOMETIME().load({"at": said})["at"].isoformat() == said.upper().replace(
            "Z", "+00:00"
        )
