"""What a partner's library finds without asking anybody."""

from flask.testing import FlaskClient

from service.settings import Settings


class TestMetadata:
    def test_names_the_endpoints_and_the_method(
        self, client: FlaskClient, settings: Settings
    ) -> None:
        metadata = client.get("/.well-known/oauth-authorization-server").get_json()

        assert metadata["issuer"] == settings.issuer
        assert metadata["token_endpoint"] == f"{settings.issuer}/oauth/token"
        assert metadata["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]


class TestPublicKeys:
    def test_are_public(self, client: FlaskClient) -> None:
        keys = client.get("/.well-known/jwks.json").get_json()["keys"]

        assert keys
        assert not [key for key in keys if "d" in key]

    def test_are_not_sent_again_to_whoever_has_them(self, client: FlaskClient) -> None:
        first = client.get("/.well-known/jwks.json")

        second = client.get(
            "/.well-known/jwks.json", headers={"If-None-Match": first.headers["ETag"]}
        )

        assert (first.status_code, second.status_code) == (200, 304)
        assert second.data == b""
        assert "max-age" in first.headers["Cache-Control"]
