"""Signed heads: what is written, and what is believed."""

import json
import os
from base64 import b64decode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from service.transparency.errors import (
    LogKeyMalformed,
    NoteMalformed,
    NoteNotSigned,
    NoteSignatureWrong,
    ProofInvalid,
)
from service.transparency.notes import (
    LARGEST_SIZE,
    Checkpoint,
    Signer,
    Verifier,
    decimal_of,
    open_checkpoint,
    sign_checkpoint,
)
from tests.transparency.logs import ORIGIN, a_signer

SHARED = Path(os.environ.get("CARBON_SHARED") or Path(__file__).parents[3] / "shared")
WYCHEPROOF = SHARED / "vectors" / "wycheproof" / "ed25519_test.json"
SUM_GOLANG_ORG = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
ITS_HEAD = (
    "go.sum database tree\n65209736\n5+uGFjx6xBZG8ip1+wi77v+grwbhhukIrxEUS8PXvRo=\n\n"
    "— sum.golang.org Az3grnbssgK7ubgFX36gVETtNv0U23qxyAhAMai2QUfeGa3nB/akvkMdlUErfcZz7l/R3cVtY"
    "spg3dxXABkGZZKdsQ8=\n"
)
"""A head of the Go checksum database, as its public server signed it."""

HEAD = Checkpoint(ORIGIN, 20_852_163, bytes(range(32)))


def altered(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


class TestASignedHead:
    def test_is_three_lines_an_empty_one_and_a_signature(self) -> None:
        note = sign_checkpoint(HEAD, [a_signer()])

        assert note.startswith(
            "scheme.example/log\n20852163\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n"
            "— scheme.example/log "
        )
        assert note.count("\n") == 5
        assert open_checkpoint(note, [a_signer().verifier]) == HEAD

    def test_of_another_log_is_read(self) -> None:
        head = open_checkpoint(ITS_HEAD, [Verifier.parse(SUM_GOLANG_ORG)])

        assert (head.origin, head.size) == ("go.sum database tree", 65_209_736)

    def test_keeps_lines_that_this_service_does_not_write(self) -> None:
        head = Checkpoint(ORIGIN, 0, bytes(32), extensions=("one", "and another"))

        note = sign_checkpoint(head, [a_signer()])

        assert open_checkpoint(note, [a_signer().verifier]) == head

    def test_while_a_key_is_replaced_is_believed_under_either(self) -> None:
        old, new = a_signer(seed=1), a_signer(seed=2)

        note = sign_checkpoint(HEAD, [old, new])

        assert open_checkpoint(note, [old.verifier]) == HEAD
        assert open_checkpoint(note, [new.verifier]) == HEAD
        assert open_checkpoint(note, [old.verifier, new.verifier]) == HEAD

    def test_with_16_unknown_signatures_is_believed(self) -> None:
        others = [a_signer(f"witness-{number}.example", seed=number) for number in range(2, 18)]

        note = sign_checkpoint(HEAD, [*others, a_signer()])

        assert open_checkpoint(note, [a_signer().verifier]) == HEAD

    @pytest.mark.parametrize(
        "stranger",
        [a_signer("other.example"), a_signer(seed=2)],
        ids=["with-another-name", "with-another-key"],
    )
    def test_by_somebody_else_is_not_believed(self, stranger: Signer) -> None:
        note = sign_checkpoint(HEAD, [stranger])

        with pytest.raises(NoteNotSigned):
            open_checkpoint(note, [a_signer().verifier])

    def test_with_one_wrong_signature_of_a_known_key_is_refused(self) -> None:
        right, wrong = a_signer(seed=1), a_signer(seed=2)
        theirs = sign_checkpoint(Checkpoint(ORIGIN, 1, bytes(32)), [wrong]).splitlines()[-1]

        note = sign_checkpoint(HEAD, [right]) + theirs + "\n"

        with pytest.raises(NoteSignatureWrong):
            open_checkpoint(note, [right.verifier, wrong.verifier])

    @pytest.mark.parametrize("text", ["20852164", "scheme.example/log\n20852163\nBAEC"])
    def test_changed_afterwards_is_refused(self, text: str) -> None:
        body = "20852163" if text.isdigit() else "scheme.example/log\n20852163\nAAEC"

        note = altered(sign_checkpoint(HEAD, [a_signer()]), body, text)

        with pytest.raises(NoteSignatureWrong):
            open_checkpoint(note, [a_signer().verifier])

    @pytest.mark.parametrize(
        "head",
        [
            "",
            "\n1\n{root}\n",
            "log\n01\n{root}\n",
            "log\n-1\n{root}\n",
            "log\n+1\n{root}\n",
            "log\n1 \n{root}\n",
            "log\n１\n{root}\n",
            "log\n9223372036854775808\n{root}\n",
            "log\n1\n",
            "log\n1\n{root}",
            "log\n1\nAAEC\n",
            "log\n1\n{root}=\n",
            "log\n1\n{root}\n\n",
            "log\n1\n{root}\n\nextension\n",
        ],
    )
    def test_that_is_no_checkpoint_is_refused_though_signed(self, head: str) -> None:
        text = head.format(root="AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")

        with pytest.raises(NoteMalformed):
            open_checkpoint(text + "\n" + a_signer().line_under(text), [a_signer().verifier])

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("\n\n", "\n"),
            ("— ", "- "),
            ("— ", "—  "),
            ("— scheme.example/log ", "— "),
            ("— scheme.example/log", "— scheme+log"),
            ("20852163\n", "20852163\r\n"),
            ("20852163\n", "20852163\t\n"),
            ("20852163\n", "20852163\0\n"),
            ("scheme", "\ud800"),
        ],
    )
    def test_written_otherwise_is_refused(self, old: str, new: str) -> None:
        note = altered(sign_checkpoint(HEAD, [a_signer()]), old, new)

        with pytest.raises(NoteMalformed):
            open_checkpoint(note, [a_signer().verifier])

    @pytest.mark.parametrize("end", ["", "\n\n", "\n "])
    def test_that_ends_otherwise_is_refused(self, end: str) -> None:
        note = sign_checkpoint(HEAD, [a_signer()]).removesuffix("\n") + end

        with pytest.raises(NoteMalformed):
            open_checkpoint(note, [a_signer().verifier])

    def test_as_long_as_a_book_is_not_read(self) -> None:
        head = Checkpoint(ORIGIN, 1, bytes(32), extensions=("a" * 100_000,))

        with pytest.raises(NoteMalformed):
            open_checkpoint(sign_checkpoint(head, [a_signer()]), [a_signer().verifier])

    @given(st.data())
    def test_with_any_character_changed_is_refused(self, data: st.DataObject) -> None:
        note = sign_checkpoint(HEAD, [a_signer()])
        at = data.draw(st.integers(0, len(note) - 1))
        other = data.draw(st.characters().filter(lambda each: each != note[at]))

        with pytest.raises(ProofInvalid):
            open_checkpoint(note[:at] + other + note[at + 1 :], [a_signer().verifier])


class TestAPublicKey:
    def test_is_written_and_read(self) -> None:
        verifier = a_signer().verifier

        assert Verifier.parse(verifier.vkey) == verifier

    @pytest.mark.parametrize(
        "vkey",
        [
            SUM_GOLANG_ORG,
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        ],
    )
    def test_of_others_is_read(self, vkey: str) -> None:
        assert Verifier.parse(vkey).vkey == vkey

    @given(st.data())
    def test_with_any_character_changed_is_refused(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(SUM_GOLANG_ORG) - 1))
        other = data.draw(st.characters().filter(lambda each: each != SUM_GOLANG_ORG[at]))

        with pytest.raises(LogKeyMalformed):
            Verifier.parse(SUM_GOLANG_ORG[:at] + other + SUM_GOLANG_ORG[at + 1 :])

    @pytest.mark.parametrize("end", range(len(SUM_GOLANG_ORG)))
    def test_cut_short_is_refused(self, end: int) -> None:
        with pytest.raises(LogKeyMalformed):
            Verifier.parse(SUM_GOLANG_ORG[:end])

    @pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u3000b", "a\ud800"])
    def test_has_a_name_that_can_stand_in_a_signature(self, name: str) -> None:
        with pytest.raises(LogKeyMalformed):
            Verifier(name, a_signer().verifier.public)


def test_an_example_of_the_go_project_is_signed_the_same() -> None:
    """Of golang.org/x/mod/sumdb/note; there is no chance in an Ed25519 signature."""
    text = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
    )
    seed = b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]

    signer = Signer("PeterNeumann", Ed25519PrivateKey.from_private_bytes(seed))

    assert signer.line_under(text) == (
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotp"
        "RZb6KE6RyyBwJnAM=\n"
    )


@pytest.mark.skipif(
    not WYCHEPROOF.exists(),
    reason="vectors/wycheproof is not beside the repository (CARBON_SHARED)",
)
def test_signatures_are_judged_as_project_wycheproof_does() -> None:
    for group in json.loads(WYCHEPROOF.read_bytes())["testGroups"]:
        verifier = Verifier("wycheproof", bytes.fromhex(group["publicKey"]["pk"]))
        for vector in group["tests"]:
            message, signature = (bytes.fromhex(vector[name]) for name in ("msg", "sig"))

            is_valid = verifier.has_signed(message, signature)

            assert is_valid is (vector["result"] == "valid"), vector["comment"]


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("10", 10), (str(LARGEST_SIZE), LARGEST_SIZE), ("00", None), ("1\n", None)],
)
def test_numbers_are_written_in_one_way(text: str, number: int | None) -> None:
    assert decimal_of(text) == number
