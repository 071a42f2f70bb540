"""A log of its own for each test that counts its leaves."""

from pathlib import Path

import pytest

from service.runtime import Runtime
from tests.transparency.books import Books


@pytest.fixture
def books(fresh_runtime: Runtime, tmp_path: Path) -> Books:
    return Books.opened(fresh_runtime, tmp_path / "home")
