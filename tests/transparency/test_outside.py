"""What is kept outside the database: whole, on the disk, and never taken back."""

from pathlib import Path
from uuid import uuid4

import pytest

from service.transparency.errors import OutsideUnusable
from service.transparency.outside import Outside


class TestTheHead:
    def test_is_kept(self, tmp_path: Path) -> None:
        outside = Outside(tmp_path / "a" / "b")

        before = outside.checkpoint()
        outside.keep_checkpoint("first\n", instead_of=None)
        outside.keep_checkpoint("second\n", instead_of="first\n")

        assert (before, outside.checkpoint()) == (None, "second\n")
        assert (outside.folder / "checkpoint").stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("instead_of", [None, "older\n"])
    def test_is_not_replaced_by_who_did_not_know_it(
        self, tmp_path: Path, instead_of: str | None
    ) -> None:
        outside = Outside(tmp_path)
        outside.keep_checkpoint("first\n", instead_of=None)

        with pytest.raises(OutsideUnusable):
            outside.keep_checkpoint("second\n", instead_of=instead_of)

        assert outside.checkpoint() == "first\n"

    def test_in_a_place_that_is_no_folder_is_a_refusal(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")

        with pytest.raises(OutsideUnusable):
            Outside(tmp_path / "file").checkpoint()


class TestTheErased:
    def test_are_kept_in_order_and_once(self, tmp_path: Path) -> None:
        outside, (first, second) = Outside(tmp_path), (uuid4(), uuid4())

        nobody = outside.erased()
        for citizen_id in (first, second, first):
            outside.keep_erasure(citizen_id)

        assert nobody == []
        assert outside.erased() == [first, second]

    def test_behind_a_line_that_a_crash_cut_are_found(self, tmp_path: Path) -> None:
        outside, citizen_id = Outside(tmp_path), uuid4()
        (tmp_path / "erasures").write_text(f"\n{str(uuid4())[:20]}")

        outside.keep_erasure(citizen_id)

        assert outside.erased() == [citizen_id]
