"""Writing down what happened, when the database says no: nothing is forgotten, and nobody spins."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import asyncpg
import pytest

from app.core.db import Connection
from app.core.ids import new_id
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.webhooks import deliveries as room
from app.domain.webhooks.deliver import Delivery, Outcome
from tests.support import SECRET_KEY
from workers.deliveries import Deliveries

NOW = datetime(2030, 1, 1, tzinfo=UTC)
# one that can begin a transaction, and nothing else
NO_CONNECTION = cast("Connection", SimpleNamespace(transaction=AsyncExitStack))


@pytest.fixture
def worker() -> Deliveries:
    settings = Settings(env="development", secret_keys=(SECRET_KEY,))
    return Deliveries(cast("asyncpg.Pool", None), Vault(settings.secret_keys), settings)


def tried(count: int) -> list[tuple[Delivery, Outcome]]:
    def delivery() -> Delivery:
        return Delivery(UUID(int=9), new_id(), new_id(), UUID(int=1), "booking.created", b"{}", "", (), 0, 0, NOW)

    return [(delivery(), Outcome(NOW, 200, 1, None, None, None)) for _ in range(count)]


async def test_a_batch_that_is_refused_is_recorded_one_by_one_and_nothing_is_forgotten(
    worker: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second single record meets a lost connection: it and the rest are there for the next time."""
    recorded: list[UUID] = []
    calls = 0

    async def record(
        _conn: Any, attempts: list[tuple[Delivery, Outcome]], _now: datetime
    ) -> list[tuple[Delivery, Outcome]]:
        nonlocal calls
        calls += 1
        if len(attempts) > 1 and calls == 1:
            raise asyncpg.DataError("refused")
        if calls == 3:
            raise asyncpg.PostgresConnectionError("gone")
        recorded.extend(delivery.id for delivery, _ in attempts)
        return []

    monkeypatch.setattr(room, "record", record)
    expected = tried(10)
    worker._tried = list(expected)  # noqa: SLF001 -- what a sender does
    with pytest.raises(asyncpg.PostgresConnectionError):
        await worker._record(NO_CONNECTION)  # noqa: SLF001
    await worker._record(NO_CONNECTION)  # noqa: SLF001
    assert recorded == [delivery.id for delivery, _ in expected]


async def test_an_outcome_that_is_never_taken_still_counts_as_an_attempt(
    worker: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[str | None] = []

    async def record(
        _conn: Any, attempts: list[tuple[Delivery, Outcome]], _now: datetime
    ) -> list[tuple[Delivery, Outcome]]:
        if any(outcome.error is None for _, outcome in attempts):
            raise asyncpg.DataError("refused")
        errors.extend(outcome.error for _, outcome in attempts)
        return []

    monkeypatch.setattr(room, "record", record)
    worker._tried = tried(2)  # noqa: SLF001
    await worker._record(NO_CONNECTION)  # noqa: SLF001
    assert errors == ["unrecordable", "unrecordable"]


async def test_while_nothing_can_be_written_down_the_worker_waits(worker: Deliveries) -> None:
    worker._tried = tried(2001)  # noqa: SLF001
    assert await worker._step(NO_CONNECTION) >= 0.25  # noqa: SLF001
