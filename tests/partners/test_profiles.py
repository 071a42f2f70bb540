"""How a partner is spoken with: what operators say on the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from joserfc.jwk import ECKey, KeySet

from service.partners.commands import group
from service.partners.errors import AddressRefused
from service.runtime import Runtime

Carbon = Callable[..., Result]


@pytest.fixture
def carbon(runtime: Runtime) -> Carbon:
    def run(*words: str) -> Result:
        return CliRunner().invoke(group, words, obj=runtime)

    return run


@pytest.fixture
def add(carbon: Carbon, tmp_path: Path) -> Carbon:
    """Add a bank of the options given."""
    keys = KeySet([ECKey.generate_key("P-256")]).as_dict(private=False)
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(keys))

    def run(*options: str) -> Result:
        name = f"bank-{uuid4().hex[:8]}"
        return carbon("add", "--name", name, "--role", "bank", "--jwks", str(path), *options)

    return run


def shown(result: Result) -> dict[str, Any]:
    if result.exception:
        raise result.exception
    printed: dict[str, Any] = json.loads(result.output)
    return printed


class TestAPartnersProfile:
    def test_has_defaults(self, add: Carbon) -> None:
        bank = shown(add())

        assert (bank["reach"], bank["signatures"]) == ("public", "optional")
        assert (bank["scopes"], bank["status_url"]) == (None, None)

    def test_is_given_with_the_partner(self, add: Carbon, carbon: Carbon) -> None:
        bank = shown(
            add(
                "--reach", "loopback", "--status-url", "http://127.0.0.1:9010/benefits",
                "--signatures", "required", "--scope", "events:read", "--scope", "offers:read",
            )
        )  # fmt: skip

        kept = shown(carbon("profile", "--name", bank["name"]))

        assert kept == {
            "client_id": bank["client_id"],
            "name": bank["name"],
            "reach": "loopback",
            "signatures": "required",
            "scopes": ["events:read", "offers:read"],
            "status_url": "http://127.0.0.1:9010/benefits",
        }

    def test_changes_only_in_what_is_said(self, add: Carbon, carbon: Carbon) -> None:
        name = shown(add("--signatures", "required", "--scope", "events:read"))["name"]

        changed = shown(carbon("profile", "--name", name, "--scope", "all"))

        assert (changed["signatures"], changed["scopes"]) == ("required", None)

    def test_forgets_an_address_that_is_empty(self, add: Carbon, carbon: Carbon) -> None:
        name = shown(add("--status-url", "https://bank.example/benefits"))["name"]

        changed = shown(carbon("profile", "--name", name, "--status-url", ""))

        assert changed["status_url"] is None

    def test_names_no_address_that_we_do_not_call(self, add: Carbon) -> None:
        refused = add("--status-url", "https://169.254.169.254/latest")

        assert isinstance(refused.exception, AddressRefused)

    def test_names_no_local_address_of_a_public_partner(self, add: Carbon) -> None:
        refused = add("--status-url", "http://127.0.0.1:9010/benefits")

        assert isinstance(refused.exception, AddressRefused)
