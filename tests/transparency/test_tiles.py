"""Names and contents of the log's static resources."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.transparency.errors import TileUnknown
from service.transparency.tiles import ENTRIES, TileName, entry_bundle


class TestATilesName:
    @pytest.mark.parametrize(
        ("name", "path"),
        [
            (TileName(0, 0), "tile/0/000"),
            (TileName(0, 273, 112), "tile/0/273.p/112"),
            (TileName(1, 1_234_067), "tile/1/x001/x234/067"),
            (TileName(63, 1_000, 1), "tile/63/x001/000.p/1"),
            (TileName(ENTRIES, 999), "tile/entries/999"),
            (TileName(ENTRIES, 1_000, 255), "tile/entries/x001/000.p/255"),
        ],
    )
    def test_is_written_as_the_specification_has_it(self, name: TileName, path: str) -> None:
        assert name.path == path
        assert TileName.parse(path) == name

    @given(
        st.one_of(st.just(ENTRIES), st.integers(0, 63)),
        st.integers(0, 10**18 - 1),
        st.integers(1, 256),
    )
    def test_is_read_as_it_was_written(self, level: int, index: int, width: int) -> None:
        name = TileName(level, index, width)

        assert TileName.parse(name.path) == name

    @pytest.mark.parametrize(
        "path",
        [
            "",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/0000",
            "tile/00/000",
            "tile/64/000",
            "tile/-1/000",
            "tile/0/001/000",
            "tile/0/x001",
            "tile/0/x000/001",
            "tile/0/x001/x234/67",
            "tile/0/000.p/0",
            "tile/0/000.p/01",
            "tile/0/000.p/256",
            "tile/0/000.p/",
            "tile/0/000.p",
            "tile/0/000/",
            "tile/0/000\n",
            "tile/0/٠٠٠",
            "tile/data/000",
            "tile/Entries/000",
            "/tile/0/000",
            "tile//000",
            "tile/0/" + "x001/" * 7 + "000",
            "tile/0/" + "x001/" * 100_000 + "000",
        ],
    )
    def test_written_otherwise_names_nothing(self, path: str) -> None:
        with pytest.raises(TileUnknown):
            TileName.parse(path)

    @pytest.mark.parametrize(
        "path",
        [
            "tile/0/272",
            "tile/0/273.p/111",
            "tile/0/273.p/112",
            "tile/entries/273.p/112",
            "tile/1/000",
            "tile/1/001.p/17",
            "tile/2/000.p/1",
        ],
    )
    def test_is_in_a_log_of_70000(self, path: str) -> None:
        assert TileName.parse(path).is_in(70_000)

    @pytest.mark.parametrize(
        "path",
        [
            "tile/0/273",
            "tile/0/273.p/113",
            "tile/entries/274.p/1",
            "tile/1/001.p/18",
            "tile/2/000.p/2",
            "tile/3/000.p/1",
        ],
    )
    def test_is_not_in_a_log_of_70000(self, path: str) -> None:
        assert not TileName.parse(path).is_in(70_000)


def test_a_bundle_has_each_entry_with_its_length_before_it() -> None:
    assert entry_bundle([b"", b"a", b"b" * 258]) == b"\0\0" + b"\0\1a" + b"\1\2" + b"b" * 258
