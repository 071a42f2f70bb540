"""What the edge says about a connection: a body that nobody read ends it, and is announced."""

import pytest
from flask.testing import FlaskClient

OF_NO_USE = b'{"points": 1}'


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/me/retirements", 401),
        ("POST", "/v1/nothing", 404),
        ("POST", "/v1/log/keys", 405),
        ("GET", "/livez", 200),
    ],
)
def test_a_body_that_nobody_read_ends_the_connection(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    answer = client.open(path, method=method, data=OF_NO_USE, content_type="application/json")

    assert answer.status_code == status
    assert answer.headers["Connection"] == "close"


def test_a_body_that_was_read_keeps_it(client: FlaskClient) -> None:
    answer = client.post("/v1/auth/otp", json={"phone": "no number"})

    assert answer.status_code == 422
    assert "Connection" not in answer.headers


def test_no_body_keeps_it(client: FlaskClient) -> None:
    answer = client.get("/livez")

    assert "Connection" not in answer.headers
