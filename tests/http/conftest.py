"""What tests of `/mcp` share: agents with a key for everything, and a start that is open."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.agents import REVISIONS, Agent
from tests.support import Api


@pytest.fixture(params=REVISIONS)
def agent(api: Api, request: pytest.FixtureRequest) -> Agent:
    return Agent(api.client, api.key, request.param)


@pytest.fixture
def plain(api: Api) -> Agent:
    """Where the revision makes no difference."""
    return Agent(api.client, api.key)


@pytest.fixture
def start() -> datetime:
    """Ten in the morning, some days ahead."""
    return (datetime.now(UTC) + timedelta(days=3)).replace(hour=10, minute=0, second=0, microsecond=0)
