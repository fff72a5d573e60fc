"""What stories of calendars are told with: a web server, two workers that can die at any await, and a provider."""

import asyncio
import functools
import itertools
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import asyncpg
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import event

from app.core import db
from app.core.errors import Unavailable
from app.core.settings import Settings
from app.core.vault import Vault
from app.main import build_app
from tests.calendaring import Room, connect, working
from tests.fakes.google import FakeGoogle
from tests.support import Api, Servers, make_tenant, settings_for

Result = TypeVar("Result")

_accounts = itertools.count()


@types.coroutine
def _until(work: Awaitable[Result], number: int) -> Generator[Any, Any, Result]:
    """Run up to the await of this number at which it really waits, and be cancelled there."""
    steps = work.__await__()
    step: Callable[[], Any] = functools.partial(steps.send, None)
    for waited in itertools.count(1):
        try:
            waits_for = step()
        except StopIteration as stop:
            result: Result = stop.value
            return result
        if waited == number:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        try:
            given = yield waits_for
        except BaseException as error:  # noqa: BLE001 -- handed on to whom it is for
            step = functools.partial(steps.throw, error)
        else:
            step = functools.partial(steps.send, given)
    raise AssertionError


async def dying(work: Coroutine[Any, Any, Result], at: int | None) -> Result | None:
    """A worker that dies there; None where it did."""

    async def run() -> Result:
        return await (work if at is None else _until(work, at))

    (result,) = await asyncio.gather(asyncio.create_task(run()), return_exceptions=True)
    if isinstance(result, asyncio.CancelledError):
        event("died")
        return None
    if isinstance(result, (*db.AWAY, Unavailable, asyncpg.PostgresError)):
        # as a worker takes it: its lease runs out
        event("lost")
        return None
    if isinstance(result, BaseException):
        raise result
    return result


class World:
    """What all stories share: a web server, two workers, a provider."""

    def __init__(self, settings: Settings, fake: FakeGoogle, stack: AsyncExitStack) -> None:
        self.settings, self.fake, self.stack = settings, fake, stack
        self.vault = Vault(settings.secret_keys)

    async def open(self) -> None:
        server = TestServer(build_app(self.settings), host="127.0.0.1")
        self.client = await self.stack.enter_async_context(TestClient(server))
        self.workers = [await self.stack.enter_async_context(working(self.settings)) for _ in range(2)]

    async def tell(self) -> Room:
        """Somebody new, with an account of their own."""
        account = f"host{next(_accounts)}@example.com"
        self.fake.add_account(account)
        worker = self.workers[0]
        async with db.acquire(worker.pool) as conn:
            tenant = await make_tenant(conn, self.vault)
        api = Api(self.client, tenant.api_key)
        schedule = await api.always_open()
        event_type = await api.event_type(schedule_id=schedule["id"], booking_window_days=None)
        connection_id = await connect(worker, tenant, self.fake, account=account)
        room = Room(api, tenant, worker, self.fake, event_type, connection_id, account)
        await worker.tend()
        return room


async def open_world(migrated: Servers, stack: AsyncExitStack) -> World:
    fake = FakeGoogle([])
    await fake.start()
    stack.push_async_callback(fake.stop)
    made = settings_for(
        migrated,
        google_client_id=fake.oauth.client_id,
        google_client_secret=fake.oauth.client_secret,
        google_base_url=fake.base_url,
        google_oauth_base_url=fake.base_url,
        base_url="http://calendars.example.com",
        calendar_brake=1000,
    )
    world = World(made, fake, stack)
    await world.open()
    return world
