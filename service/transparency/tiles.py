"""Names and contents of the log's static resources, as C2SP tlog-tiles has them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from service.transparency.errors import TileUnknown
from service.transparency.merkle import HASHES_IN_TILE, TILE_HEIGHT

ENTRIES: Literal["entries"] = "entries"
"""Stands for the level where a bundle of entries is named instead of hashes."""
HIGHEST_LEVEL = 63

_PATH = re.compile(
    r"tile/(?P<level>entries|[0-9]{1,2})/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})"
    r"(?:\.p/(?P<width>[0-9]{1,3}))?",
)


@dataclass(frozen=True, slots=True)
class TileName:
    """Which tile, or which bundle of entries, and how many hashes or entries of it."""

    level: int | Literal["entries"]
    index: int
    width: int = HASHES_IN_TILE

    @classmethod
    def parse(cls, path: str) -> "TileName":
        """Read ``tile/<L>/<N>[.p/<W>]`` or ``tile/entries/<N>[.p/<W>]``.

        Raises:
            TileUnknown: the path is not the one way in which a tile's name is written.
        """
        shape = _PATH.fullmatch(path)
        if shape is None:
            raise _unknown(path)
        level, index, width = shape["level"], shape["index"], shape["width"]
        name = cls(
            ENTRIES if level == ENTRIES else int(level),
            int(index.replace("x", "").replace("/", "")),
            HASHES_IN_TILE if width is None else int(width),
        )
        if name.path != path or not name.can_be:
            raise _unknown(path)
        return name

    @property
    def path(self) -> str:
        """The name as it stands in an address, below the log's prefix."""
        partial = "" if self.width == HASHES_IN_TILE else f".p/{self.width}"
        return f"tile/{self.level}/{_grouped(self.index)}{partial}"

    @property
    def can_be(self) -> bool:
        """Say whether some tree has such a tile."""
        level_can_be = self.level == ENTRIES or 0 <= self.level <= HIGHEST_LEVEL
        return level_can_be and 1 <= self.width <= HASHES_IN_TILE

    def is_in(self, size: int) -> bool:
        """Say whether a log of `size` leaves has this tile, at this width or wider."""
        level = 0 if self.level == ENTRIES else self.level
        return self.index * HASHES_IN_TILE + self.width <= size >> (TILE_HEIGHT * level)


def entry_bundle(entries: Iterable[bytes]) -> bytes:
    """Return entries one after the other, each with its length in two bytes before it."""
    return b"".join([len(entry).to_bytes(2) + entry for entry in entries])


def _grouped(index: int) -> str:
    """Return an index in groups of three digits, all but the last with an x: x001/x234/067."""
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    *leading, last = (digits[at : at + 3] for at in range(0, len(digits), 3))
    return "".join([f"x{group}/" for group in leading]) + last


def _unknown(path: str) -> TileUnknown:
    return TileUnknown("The log has nothing at {path}.", path=path)
