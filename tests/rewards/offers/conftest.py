"""A shop in which partners enter offers."""

from uuid import UUID

import pytest
from flask import Flask

from tests.rewards.market import Market
from tests.rewards.offers.shop import Shop


@pytest.fixture
def shop(app: Flask) -> Shop:
    return Shop(app)


@pytest.fixture
def bank_id(market: Market) -> UUID:
    return market.bank()
