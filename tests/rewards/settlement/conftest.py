"""A bank that settles its days."""

import pytest

from tests.rewards.market import Market
from tests.rewards.settlement.counter import Counter


@pytest.fixture
def counter(market: Market) -> Counter:
    return Counter(market)
