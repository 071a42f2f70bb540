"""A proof file: believed as it was given, and with no byte of it changed."""

import hashlib
import json
import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from service.cli import cli
from service.errors import DomainError
from service.transparency.committed import CommittedTransfer
from service.transparency.errors import (
    CheckpointDiffers,
    ConsistencyNotProved,
    InclusionNotProved,
    LogKeyMalformed,
    NoteNotSigned,
    NoteSignatureWrong,
    ProofInvalid,
    ProofMalformed,
)
from service.transparency.merkle import leaf_hash
from service.transparency.notes import Verifier, open_checkpoint
from service.transparency.proof_files import (
    LONGEST_FILE,
    consistency_document,
    tlog_proof,
    verify_consistency_file,
    verify_proof_file,
)
from tests.transparency.logs import (
    ORIGIN,
    SALT,
    KeptLog,
    a_proof,
    a_signer,
    a_transfer,
    entries,
)

KEYS = [a_signer().verifier]
OPTIONAL_IDS = st.one_of(st.none(), st.uuids())
TRANSFERS = st.builds(
    CommittedTransfer,
    citizen_id=st.uuids(),
    id=st.uuids(),
    kind=st.sampled_from(["issue", "hold", "carry_out"]),
    expires_on=st.dates(),
    points=st.integers(0, 2**53 - 1),
    reduction_g=st.integers(0, 2**53 - 1),
    recorded_at=st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=8))])),
    posting_id=OPTIONAL_IDS,
    line=st.integers(0, 2**15 - 1),
    hold_id=OPTIONAL_IDS,
    hold_line=st.one_of(st.none(), st.integers(0, 2**15 - 1)),
    of_id=OPTIONAL_IDS,
    party=OPTIONAL_IDS,
)


def file_of(document: dict[str, Any], **layout: Any) -> bytes:
    return json.dumps(document, **({"ensure_ascii": False, "indent": 2} | layout)).encode()


FILE = file_of(a_proof())
WHITE_SPACE = [b" ", b"\t", b"\r", b"\n"]
# Where FILE has white space that is of no meaning: outside its texts, which are cut out whole.
BETWEEN = {
    at
    for at, each in enumerate(re.sub(rb'"(?:[^"\\]|\\.)*"', lambda text: b"x" * len(text[0]), FILE))
    if bytes([each]).isspace()
}
FORMAT = (Path(__file__).parents[2] / "docs" / "transparency.md").read_text()


class TestAProofFile:
    def test_proves_its_transfer(self) -> None:
        proof = verify_proof_file(FILE, KEYS)

        assert proof.transfer == a_transfer()
        assert proof.leaf_index == 123
        assert (proof.checkpoint.origin, proof.checkpoint.size) == (ORIGIN, 300)

    @given(TRANSFERS)
    def test_proves_every_kind_of_transfer(self, transfer: CommittedTransfer) -> None:
        proof = verify_proof_file(file_of(a_proof(transfer, size=2, index=1)), KEYS)

        assert proof.transfer == transfer

    @pytest.mark.parametrize(("kind", "prefix"), [("invalidate", "trf"), ("restore", "pst")])
    def test_names_ids_as_the_statement_does(self, kind: str, prefix: str) -> None:
        transfer = replace(a_transfer(), kind=kind, of_id=UUID(int=5))

        named = a_proof(transfer, size=2, index=1)["transfer"]

        ids = ("id", "posting_id", "hold_id", "of_id")
        assert [named[each][:3] for each in ids] == ["trf", "pst", "pst", prefix]

    @pytest.mark.parametrize(("size", "index"), [(1, 0), (2, 0), (257, 256)])
    def test_proves_it_wherever_it_is(self, size: int, index: int) -> None:
        assert verify_proof_file(file_of(a_proof(size=size, index=index)), KEYS)

    @pytest.mark.parametrize(
        "layout",
        [
            {"indent": None},
            {"indent": None, "separators": (",", ":")},
            {"ensure_ascii": True},
            {"sort_keys": True},
            {"indent": 4, "ensure_ascii": True},
            {"indent": "\t", "separators": (" ,", " : ")},
        ],
    )
    def test_may_be_laid_out_in_any_way(self, layout: dict[str, Any]) -> None:
        assert verify_proof_file(file_of(a_proof(), **layout) + b"\r\n", KEYS)

    @given(st.sampled_from(sorted(BETWEEN)), st.sampled_from(WHITE_SPACE))
    def test_may_have_any_white_space_between_its_parts(self, at: int, space: bytes) -> None:
        assert verify_proof_file(FILE[:at] + space + FILE[at:], KEYS)

    def test_while_a_key_is_replaced_is_believed_under_either(self) -> None:
        signers = a_signer(seed=1), a_signer(seed=2)
        file = file_of(a_proof(None, *signers))

        for signer in signers:
            assert verify_proof_file(file, [signer.verifier])

    @pytest.mark.parametrize("bit", range(8))
    def test_with_a_bit_of_any_byte_changed_is_refused(self, bit: int) -> None:
        for at in range(len(FILE)):
            with pytest.raises(ProofInvalid):
                verify_proof_file(with_byte(at, FILE[at] ^ 1 << bit), KEYS)

    @given(st.integers(0, len(FILE) - 1), st.integers(0, 255))
    def test_with_any_other_byte_is_refused(self, at: int, byte: int) -> None:
        if byte == FILE[at] or (at in BETWEEN and byte in b"".join(WHITE_SPACE)):
            assert verify_proof_file(with_byte(at, byte), KEYS)
        else:
            with pytest.raises(ProofInvalid):
                verify_proof_file(with_byte(at, byte), KEYS)

    @given(st.integers(0, len(FILE)), st.binary(min_size=1, max_size=2))
    def test_with_anything_but_white_space_put_in_is_refused(self, at: int, more: bytes) -> None:
        if more.strip(b"".join(WHITE_SPACE)):
            with pytest.raises(ProofInvalid):
                verify_proof_file(FILE[:at] + more + FILE[at:], KEYS)

    @pytest.mark.parametrize("space", WHITE_SPACE)
    def test_with_white_space_put_into_a_text_or_a_number_is_refused(self, space: bytes) -> None:
        for at in range(1, len(FILE)):
            if {at - 1, at}.isdisjoint(BETWEEN) and FILE[at - 1 : at + 1].isalnum():
                with pytest.raises(ProofMalformed):
                    verify_proof_file(FILE[:at] + space + FILE[at:], KEYS)

    @pytest.mark.parametrize("second", [1, 2], ids=["of-the-first-key", "of-the-other-key"])
    def test_of_two_keys_with_any_byte_changed_is_refused(self, second: int) -> None:
        file = file_of(a_proof(None, a_signer(seed=1), a_signer(seed=2)))

        for at in range(0, len(file), 3):
            changed = file[:at] + bytes([file[at] ^ 1]) + file[at + 1 :]
            with pytest.raises(ProofInvalid):
                verify_proof_file(changed, [a_signer(seed=second).verifier])

    @given(st.integers(0, len(FILE) - 1))
    def test_cut_short_is_refused(self, length: int) -> None:
        with pytest.raises(ProofMalformed):
            verify_proof_file(FILE[:length], KEYS)

    @pytest.mark.parametrize(
        ("change", "refusal"),
        [
            (lambda proof: proof["transfer"].update(points=301), InclusionNotProved),
            (lambda proof: proof["transfer"].update(reduction_g=0), InclusionNotProved),
            (lambda proof: proof["transfer"].update(kind="issue"), InclusionNotProved),
            (lambda proof: proof["transfer"].update(party=None), InclusionNotProved),
            (lambda proof: proof["transfer"].update(hold_line=None), InclusionNotProved),
            (lambda proof: proof["transfer"].update(of_id="pst_" + "0" * 32), InclusionNotProved),
            (lambda proof: proof["transfer"].update(expires_on="2030-12-31"), InclusionNotProved),
            (
                lambda proof: proof["transfer"].update(recorded_at="2026-11-20T05:04:03.210988Z"),
                InclusionNotProved,
            ),
            (lambda proof: proof.update(salt="0" * 64), InclusionNotProved),
            (lambda proof: proof.update(tree_size=301), CheckpointDiffers),
            (lambda proof: proof.update(format="carbon-transfer-proof/2"), ProofMalformed),
            (lambda proof: proof.update(more=1), ProofMalformed),
            (lambda proof: proof.pop("salt"), ProofMalformed),
            (lambda proof: proof.update(salt="0" * 62), ProofMalformed),
            (lambda proof: proof.update(salt="zz"), ProofMalformed),
            (lambda proof: proof.update(salt=proof["salt"].upper()), ProofMalformed),
            (lambda proof: proof.update(leaf_index=124), ProofMalformed),
            (lambda proof: proof.update(leaf_index=-1), ProofMalformed),
            (lambda proof: proof.update(leaf_index=123.0), ProofMalformed),
            (lambda proof: proof.update(leaf_index="123"), ProofMalformed),
            (lambda proof: proof.update(leaf_index=10**30), ProofMalformed),
            (lambda proof: proof.update(inclusion_path=["AA="]), ProofMalformed),
            (lambda proof: proof.update(inclusion_path=None), ProofMalformed),
            (lambda proof: proof.update(tlog_proof=""), ProofMalformed),
            (lambda proof: proof["transfer"].update(points=True), ProofMalformed),
            (lambda proof: proof["transfer"].update(line=2**15), ProofMalformed),
            (lambda proof: proof["transfer"].update(kind="Issue"), ProofMalformed),
            (lambda proof: proof["transfer"].update(id="ctz_" + "0" * 32), ProofMalformed),
            (lambda proof: proof["transfer"].update(of_id="trf_" + "0" * 32), ProofMalformed),
            (lambda proof: proof["transfer"].update(hold_id="trf_" + "0" * 32), ProofMalformed),
            (lambda proof: proof["transfer"].update(posting_id="trf_" + "0" * 32), ProofMalformed),
            (lambda proof: proof["transfer"].update(expires_on="20301231"), ProofMalformed),
            (lambda proof: proof["transfer"].update(expires_on="soon"), ProofMalformed),
            (
                lambda proof: proof["transfer"].update(recorded_at="2026-11-20T05:04:03.210987"),
                ProofMalformed,
            ),
            (
                lambda proof: proof["transfer"].update(
                    recorded_at="2026-11-20T13:04:03.210987+08:00"
                ),
                ProofMalformed,
            ),
            (
                lambda proof: proof["transfer"].update(recorded_at="0001-01-01T00:00:00+08:00"),
                ProofMalformed,
            ),
        ],
    )
    def test_that_says_otherwise_is_refused(
        self, change: Callable[[dict[str, Any]], Any], refusal: type[ProofInvalid]
    ) -> None:
        with pytest.raises(refusal):
            verify_proof_file(file_of(a_proof(change=change)), KEYS)

    @pytest.mark.parametrize(
        "file",
        [
            b"",
            b"[]",
            b"{}",
            b"null",
            b"1.5",
            b"\xff",
            b"\xef\xbb\xbf" + FILE,
            FILE.replace(b'"salt"', b'"salt": "", "salt"'),
            FILE + b"\x0c",
            FILE.replace(b": ", b":\xc2\xa0", 1),
            FILE.replace(b'"line": 0', b'"line": -0'),
            FILE.replace(b'"line": 0', b'"line": 0.0'),
            FILE.replace(b'"line": 0', b'"line": 0e0'),
            FILE.replace(b"scheme.example/log", b"scheme.example\\/log"),
            FILE.replace(b'"issue"', b'"i\\u0073sue"').replace(b"capture", b"captur\\u0065"),
            b"[" * 60_000,
            b" " * (LONGEST_FILE + 1),
        ],
    )
    def test_that_is_no_such_json_is_refused(self, file: bytes) -> None:
        with pytest.raises(ProofMalformed):
            verify_proof_file(file, KEYS)

    def test_by_another_key_is_refused(self) -> None:
        with pytest.raises(NoteNotSigned):
            verify_proof_file(FILE, [a_signer(seed=2).verifier])

    def test_with_a_signature_over_another_head_is_refused(self) -> None:
        def with_another_root(proof: dict[str, Any]) -> None:
            theirs = KeptLog().append(entries(300)).head().split("\n")
            ours = proof["checkpoint"].split("\n")
            proof["checkpoint"] = "\n".join([*ours[:-2], *theirs[-2:]])
            path = open_path(proof)
            proof["tlog_proof"] = tlog_proof(proof["leaf_index"], path, proof["checkpoint"])

        with pytest.raises(NoteSignatureWrong):
            verify_proof_file(file_of(a_proof(change=with_another_root)), KEYS)

    def test_has_the_proof_for_other_peoples_tools(self) -> None:
        proof = a_proof(size=3, index=2)

        assert proof["tlog_proof"] == (
            f"c2sp.org/tlog-proof@v1\nindex 2\n{proof['inclusion_path'][0]}\n\n"
            + proof["checkpoint"]
        )


def test_the_example_in_the_documents_is_one() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", FORMAT, flags=re.DOTALL)
    (key,) = re.findall(r"^(scheme\.example/log\+\S+)$", FORMAT, flags=re.MULTILINE)

    proof = verify_proof_file(example.encode(), [Verifier.parse(key)])

    assert proof.transfer == a_transfer()


class TestAnEntry:
    def test_can_be_computed_from_the_specification_alone(self) -> None:
        """docs/transparency.md, followed step by step without our code."""

        def field(content: bytes) -> bytes:
            return len(content).to_bytes(2, "big") + content

        days = (date(2029, 12, 31) - date(2000, 1, 1)).days
        moment = datetime(2026, 11, 20, 5, 4, 3, 210987, tzinfo=UTC)
        microseconds = (moment - datetime(2000, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

        entry = hashlib.sha256(
            field(SALT)
            + field(b"carbon-transfer/1")
            + field(UUID(int=0xC1).bytes)
            + field(UUID(int=0x7F).bytes)
            + field(b"capture")
            + field(days.to_bytes(4, "big"))
            + field((300).to_bytes(8, "big"))
            + field((1250).to_bytes(8, "big"))
            + field(microseconds.to_bytes(8, "big"))
            + field(UUID(int=0x7F).bytes)
            + field((0).to_bytes(2, "big"))
            + field(UUID(int=0x40).bytes)
            + field((2).to_bytes(2, "big"))
            + field(b"")
            + field(UUID(int=0xBA).bytes)
        ).digest()

        assert a_transfer().entry(SALT) == entry
        assert f"`{entry.hex()}`" in FORMAT
        assert f"`{leaf_hash(entry).hex()}`" in FORMAT

    @given(TRANSFERS, TRANSFERS)
    def test_differs_wherever_the_transfers_do(
        self, one: CommittedTransfer, other: CommittedTransfer
    ) -> None:
        assert (one.entry(SALT) == other.entry(SALT)) is (one == other)


class TestAConsistencyProof:
    def test_joins_two_heads(self) -> None:
        old, new, proof = two_heads()

        verify_consistency_file(proof, open_checkpoint(old, KEYS), open_checkpoint(new, KEYS))

    def test_with_any_byte_changed_is_refused(self) -> None:
        old, new, proof = two_heads()
        heads = open_checkpoint(old, KEYS), open_checkpoint(new, KEYS)

        for at in range(len(proof)):
            changed = proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :]
            with pytest.raises(ProofInvalid):
                verify_consistency_file(changed, *heads)

    def test_does_not_join_a_rewritten_log(self) -> None:
        old, _, proof = two_heads()
        rewritten = KeptLog().append(entries(300, first=1)).head()

        with pytest.raises(ConsistencyNotProved):
            verify_consistency_file(
                proof, open_checkpoint(old, KEYS), open_checkpoint(rewritten, KEYS)
            )


class TestCarbonLogVerify:
    def test_says_what_was_proved_and_opens_no_database(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")

        said = carbon("verify", kept(tmp_path, "proof.json", FILE), *key())

        assert said.exit_code == 0, said.output
        assert "Proved: transfer trf_0000000000000000000000000000007f" in said.output
        assert "entry 123 of scheme.example/log" in said.output
        assert "points: 300" in said.output

    def test_says_why_not(self, tmp_path: Path) -> None:
        file = kept(tmp_path, "proof.json", FILE.replace(b'"points": 300', b'"points": 900'))

        with pytest.raises(InclusionNotProved):
            carbon("verify", file, *key())

    def test_of_a_key_that_is_none_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(LogKeyMalformed):
            carbon("verify", kept(tmp_path, "proof.json", FILE), "--key", "scheme.example/log")

    def test_with_the_same_head_from_elsewhere_is_proved(self, tmp_path: Path) -> None:
        head = kept(tmp_path, "head", a_proof()["checkpoint"].encode())

        said = carbon("verify", kept(tmp_path, "p", FILE), *key(), "--checkpoint", head)

        assert said.exit_code == 0

    @pytest.mark.parametrize("size", [300, 301])
    def test_with_another_head_from_elsewhere_is_refused(self, tmp_path: Path, size: int) -> None:
        head = kept(tmp_path, "head", KeptLog().append(entries(size)).head().encode())

        with pytest.raises(CheckpointDiffers):
            carbon("verify", kept(tmp_path, "p", FILE), *key(), "--checkpoint", head)

    def test_of_two_heads_says_that_nothing_was_rewritten(self, tmp_path: Path) -> None:
        old, new, proof = two_heads()
        files = [kept(tmp_path, "old", old.encode()), kept(tmp_path, "new", new.encode())]

        said = carbon("verify-consistency", *files, kept(tmp_path, "proof", proof), *key())

        assert said.exit_code == 0
        assert "with 300 entries begins with the 100" in said.output

    def test_of_a_head_that_is_no_text_is_refused(self, tmp_path: Path) -> None:
        head = kept(tmp_path, "head", b"\xff")

        with pytest.raises(DomainError):
            carbon("verify-consistency", head, head, head, *key())


def with_byte(at: int, byte: int) -> bytes:
    return FILE[:at] + bytes([byte]) + FILE[at + 1 :]


def open_path(proof: dict[str, Any]) -> list[bytes]:
    return [b64decode(each) for each in proof["inclusion_path"]]


def two_heads() -> tuple[str, str, bytes]:
    log = KeptLog().append(entries(300))
    path = log.tree().consistency_path(100)
    return log.head(size=100), log.head(), file_of(consistency_document(100, 300, path))


def kept(folder: Path, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    return str(folder / name)


def key() -> list[str]:
    return ["--key", a_signer().verifier.vkey]


def carbon(*words: str) -> Any:
    return CliRunner().invoke(cli, ["log", *words], catch_exceptions=False)
