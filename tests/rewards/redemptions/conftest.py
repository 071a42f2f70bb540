"""Resources for the tests of redemptions."""

from collections.abc import Iterator

import pytest

from tests.rewards.redemptions.desk import Desk, open_desk


@pytest.fixture
def desk() -> Iterator[Desk]:
    with open_desk() as opened:
        yield opened
