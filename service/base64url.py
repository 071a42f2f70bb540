"""Base64url as JOSE and cursors write it: no padding, and one spelling for the same bytes."""

from base64 import urlsafe_b64decode, urlsafe_b64encode


def encoded(raw: bytes) -> str:
    """Return the one text of some bytes."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Return the bytes of a text.

    Raises:
        ValueError: it is not base64url, or not the one spelling: padded, or with stray bits.
    """
    raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if encoded(raw) != text:
        raise ValueError("not the one spelling")
    return raw
