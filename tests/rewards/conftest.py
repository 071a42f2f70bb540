"""The market in which rewards are tested."""

import pytest
from flask import Flask

from service.runtime import Runtime
from tests.rewards.market import Market


@pytest.fixture
def market(runtime: Runtime, app: Flask) -> Market:
    return Market(runtime, app)
