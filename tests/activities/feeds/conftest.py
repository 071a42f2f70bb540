"""Files as operators write them, and what a format makes of them with every row explained."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from service.activities.feeds import FORMATS, ActivityLine, ReadCounts
from service.activities.intake.lines import Line, read_line

Write = Callable[..., Path]
Read = Callable[..., tuple[list[ActivityLine], ReadCounts]]


@pytest.fixture
def a_file(tmp_path: Path) -> Write:
    """Write lines, or bytes as they are, into a file."""

    def write(*lines: str, name: str = "feed.csv", content: bytes | None = None) -> Path:
        path = tmp_path / name
        path.write_bytes("\n".join([*lines, ""]).encode() if content is None else content)
        return path

    return write


@pytest.fixture
def read() -> Read:
    """Read files to the end; no test may leave a row unexplained, or a line the intake refuses."""

    def read(name: str, *paths: Path) -> tuple[list[ActivityLine], ReadCounts]:
        counts = ReadCounts()
        lines = list(FORMATS[name].read(paths, counts))
        counts.check()
        assert counts.lines == len(lines)
        assert all(isinstance(read_line(msgspec.json.encode(line)), Line) for line in lines)
        return lines, counts

    return read
