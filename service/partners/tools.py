"""A partner's side of the first day: make a key pair, get a token; nothing here needs our database.

A partner writes these twenty lines in its own language. They stand here so that the guide's
examples run, and so that an engineer can tell her fault from ours.
"""

import http.client
import json
import os
import time
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import click
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

FILE = click.Path(dir_okay=False, path_type=Path)
LIFE_S = 120


@click.command("new-key", help="Make an ES256 key pair: a private file, and the JWKS to register.")
@click.option("--key", "key_file", required=True, type=FILE, help="Written here; keep it secret.")
@click.option("--jwks", "key_set_file", required=True, type=FILE, help="Public; give it to us.")
def new_key_command(key_file: Path, key_set_file: Path) -> None:
    """Make a key pair and never overwrite one."""
    key = ECKey.generate_key("P-256", {"alg": "ES256", "use": "sig"})
    key.ensure_kid()
    descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(key.as_dict(private=True), file, indent=2)
    key_set_file.write_text(json.dumps(KeySet([key]).as_dict(private=False), indent=2) + "\n")
    click.echo(f"Private key: {key_file}; public key set: {key_set_file}")


@click.command("token", help="Get an access token by private_key_jwt, as a partner would.")
@click.option("--client-id", required=True, help="As `carbon partner add` printed it.")
@click.option("--key", "key_file", required=True, type=FILE, help="From `carbon partner new-key`.")
@click.option("--url", envvar="CARBON_URL", help="By default http://127.0.0.1:$PORT.")
def token_command(client_id: str, key_file: Path, url: str | None) -> None:
    """Print the access token alone, for `curl -H "Authorization: Bearer $(…)"`."""
    base = url or f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
    issuer = _ask(base, "GET", "/.well-known/oauth-authorization-server")["issuer"]
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion(client_id, issuer, key_file),
    }
    click.echo(_ask(base, "POST", "/oauth/token", urlencode(form))["access_token"])


def assertion(client_id: str, issuer: str, key_file: Path) -> str:
    """Return a signed client assertion (RFC 7523) for our issuer alone, for two minutes."""
    key = ECKey.import_key(json.loads(key_file.read_text()))
    now_s = int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": issuer,
        "jti": uuid4().hex,
        "iat": now_s,
        "exp": now_s + LIFE_S,
    }
    return jwt.encode({"alg": "ES256", "kid": str(key.kid)}, claims, key)


def _ask(base: str, method: str, path: str, form: str | None = None) -> dict[str, str]:
    place = urlsplit(base)
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = kind(place.netloc, timeout=10)
    try:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        connection.request(method, path, form, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
    except OSError as error:
        raise click.ClickException(f"Nobody answers at {base}: {error}") from error
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise click.ClickException(f"{base}{path} answered {answer.status}: {text}")
    found: dict[str, str] = json.loads(text)
    return found
