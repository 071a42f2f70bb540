"""Base64url with one spelling."""

import pytest

from service import base64url


@pytest.mark.parametrize("raw", [b"", b"a", b"ab", b"abc", bytes(range(256))])
def test_what_is_encoded_is_decoded(raw: bytes) -> None:
    text = base64url.encoded(raw)

    assert base64url.decoded(text) == raw
    assert "=" not in text


@pytest.mark.parametrize("text", ["YQ==", "YR", "Y", "Y Q", "YQ\n", "a+b/", "é", "YWJj="])
def test_no_second_spelling_is_read(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  every kind of it is meant
        base64url.decoded(text)
