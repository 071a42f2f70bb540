"""Which public keys a partner may register: strong ones, and never a private half."""

from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey, import_key

from service.partners.errors import KeySetInvalid

LEAST_RSA_BITS = 2048
MOST_RSA_BITS = 8192
MOST_KEYS = 10
LONGEST_KEY_ID = 128
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
KEPT_MEMBERS = ("kty", "crv", "x", "y", "n", "e")


def checked_key_set(jwks: Any) -> dict[str, Any]:
    """Return the public JWK set to store: known members only, each key with its `kid`.

    Args:
        jwks: what a partner sent: an object whose `keys` is a list of JWKs.

    Raises:
        KeySetInvalid: the sentence gives the first reason.
    """
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= MOST_KEYS:
        raise KeySetInvalid("A key set is a JSON object whose member keys lists 1 to 10 keys.")
    checked = [_checked_key(jwk) for jwk in keys]
    if len({key["kid"] for key in checked}) != len(checked):
        raise KeySetInvalid("Two keys of the set have the same key id.")
    return {"keys": checked}


def key_ids(key_set: dict[str, Any]) -> list[str]:
    """Return the ids of the keys in a stored set."""
    return [key["kid"] for key in key_set["keys"]]


def public_keys(key_set: dict[str, Any]) -> KeySet:
    """Return a stored set as keys that verify."""
    return KeySet.import_key_set({"keys": key_set["keys"]})


def _checked_key(jwk: Any) -> dict[str, Any]:
    if not isinstance(jwk, dict):
        raise KeySetInvalid("Each key of the set is a JSON object.")
    if PRIVATE_MEMBERS & jwk.keys():
        raise KeySetInvalid("The set holds a private or shared key. Send public keys only.")
    if jwk.get("use", "sig") != "sig":
        raise KeySetInvalid("A key of the set is not for signatures.")
    key = _strong_key({name: jwk[name] for name in KEPT_MEMBERS if name in jwk})
    kid = jwk.get("kid", key.thumbprint())
    if not isinstance(kid, str) or not 1 <= len(kid) <= LONGEST_KEY_ID or not kid.isprintable():
        raise KeySetInvalid("A key id is printable text of 1 to 128 characters.")
    return {**key.as_dict(private=False), "kid": kid, "use": "sig"}


def _strong_key(members: dict[str, Any]) -> Key:
    """Read one key whose type allows exactly one signature algorithm of ours."""
    try:
        key = import_key(members)
        if _is_strong(key):
            return key
    except (JoseError, ValueError, TypeError) as error:
        raise KeySetInvalid("A key of the set cannot be read.") from error
    raise KeySetInvalid("Keys are EC P-256, Ed25519, or RSA of 2048 to 8192 bits.")


def _is_strong(key: Key) -> bool:
    if isinstance(key, RSAKey):
        return LEAST_RSA_BITS <= key.public_key.key_size <= MOST_RSA_BITS
    if isinstance(key, ECKey):
        return key.curve_name == "P-256"
    return isinstance(key, OKPKey) and key.curve_name == "Ed25519"
