"""What goes wrong around calendars, and must stay small: servers that hang, credentials that are replaced meanwhile,
answers that nobody foresaw."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiohttp import web

import app.web.providers
import workers.calendar_reads
import workers.calendar_writes
from app.core import db
from app.core.settings import Settings
from app.domain.calendars.access import Login, open_tokens, reach, seal_login, within
from app.domain.calendars.connections import Account, disconnect, save_account
from app.domain.calendars.google import Google
from app.domain.calendars.mirror import claim_calendars
from app.domain.calendars.outbound import claim_writes, plan_writes
from app.domain.calendars.provider import RemoteCalendar, TryLater
from tests.calendaring import HOUR, Room, connect
from tests.support import eventually, make_tenant
from workers.calendars import _Crew

Answering = Callable[[web.Request], Awaitable[web.Response]]


@pytest.fixture
def settings(with_google: Settings) -> Settings:
    return with_google


@asynccontextmanager
async def serving(answer: Answering) -> AsyncIterator[str]:
    """A server that answers whatever is asked in its own way; its base URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def state_of(room: Room, connection_id: UUID) -> Any:
    return await room.row("select * from calendar_connections where org_id = $1 and id = $2", connection_id)


async def refresh_token_of(room: Room, connection_id: UUID) -> str:
    sealed = (await state_of(room, connection_id))["credentials_sealed"]
    return open_tokens(sealed, room.worker.roads.vault).refresh_token


async def ended(room: Room, org_id: UUID, connection_id: UUID) -> None:
    async with db.acquire(room.worker.pool) as conn, conn.transaction():
        await disconnect(conn, org_id, connection_id, room.worker.now())
    room.worker.ahead += timedelta(minutes=3)
    await room.worker.end()


# Servers that hang.


async def test_a_token_endpoint_that_hangs_leaves_the_pool_alone_and_loses_no_token(room: Room) -> None:
    asked, go_on = list[str](), asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        await go_on.wait()
        return web.json_response({"access_token": "next", "refresh_token": "rotated", "token_type": "Bearer"})

    accounts = [f"host{each}@example.com" for each in range(6)]
    for account in accounts:
        room.fake.add_account(account)
    lifetime = timedelta(seconds=1)
    known = [await connect(room.worker, room.tenant, room.fake, account=each, lifetime=lifetime) for each in accounts]

    async def rotated() -> int:
        return [await refresh_token_of(room, each) for each in known].count("rotated")

    async with serving(answer) as url:
        settings = room.worker.roads.settings.model_copy(update={"google_oauth_base_url": url})
        roads = dataclasses.replace(room.worker.roads, settings=settings)
        reached = [await reach(roads, room.tenant.org_id, each) for each in known]
        tasks = [asyncio.create_task(each.list_calendars()) for each in reached]
        await asyncio.sleep(0.2)
        assert len(asked) == 2, "the others wait, and hold nothing"
        assert await rotated() == 0, "there is a connection for everybody else"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        go_on.set()

        async def kept() -> bool:
            return await rotated() == 2

        await eventually(kept)
        assert len(asked) == 2


async def test_what_takes_too_long_is_given_up_and_says_so(
    room: Room, soon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.calendar_reads, "_LONGEST_SECONDS", 0.1)
    monkeypatch.setattr(workers.calendar_writes, "_LONGEST_SECONDS", 0.1)
    monkeypatch.setattr(app.web.providers, "_LONGEST_SECONDS", 0.1)
    booking = await room.book(soon + 9 * HOUR)
    room.fake.latency = 0.5
    await room.worker.write()
    row = await room.row("select error, leased_until, due_at from calendar_events where org_id = $1")
    assert (row["error"], row["leased_until"]) == ("deadline", None)
    assert row["due_at"] > room.worker.now() - timedelta(seconds=1)
    await room.push()
    await room.worker.read()
    calendar = await room.row("select error, failures, leased_until from calendars where org_id = $1")
    assert tuple(calendar) == ("deadline", 1, None)
    (shown,) = (await room.api.get("/v1/calendars")).ok()["calendars"]
    problem = (await room.api.get(f"/v1/calendars/{shown['id']}/report")).ok(503)
    assert "Try again in a few minutes." in problem["detail"]
    room.fake.heal()
    monkeypatch.undo()
    await room.worker.later(minutes=2)
    assert (await room.booking(booking))["id"]
    assert len(room.events()) == 1, "made once, whoever heard of it"


async def test_a_timeout_of_somebody_elses_is_no_deadline() -> None:
    async def timed_out() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        async with within(5):
            await timed_out()
    with pytest.raises(TryLater, match="deadline"):
        async with within(0):
            await asyncio.sleep(1)


async def test_one_organization_has_no_more_than_half_of_a_crew(room: Room, soon: datetime) -> None:
    crew, over = _Crew(4, 3, asyncio.Event()), asyncio.Event()

    async def work() -> None:
        await over.wait()

    def is_open() -> bool:
        return crew.has_room

    one, connections = room.tenant.org_id, [uuid4() for _ in range(4)]
    for each in connections[:2]:
        crew.start(one, each, work())
    assert crew.busy == [one]
    for each in connections[2:]:
        # a claim took some at once
        crew.start(one, each, work())
    assert is_open(), "for the others"
    await room.book(soon + 9 * HOUR)
    await room.push()
    async with db.acquire(room.worker.pool) as conn:
        assert await db.run(conn, lambda conn: plan_writes(conn, room.worker.now())) == 1
        assert await claim_calendars(conn, crew.busy, room.worker.now()) == []
        assert await claim_writes(conn, crew.busy, room.worker.now()) == []
    other = uuid4()
    for _ in range(2):
        crew.start(other, other, work())
    assert not is_open()
    over.set()
    await crew.finish()
    assert crew.busy == []
    assert is_open()
    await room.worker.tend()
    assert len(room.events()) == 1


# Credentials.


async def test_what_is_said_of_old_credentials_is_not_said_of_new_ones(room: Room) -> None:
    about, refused = (room.tenant.org_id, room.tenant.user_id), list[str]()
    vault, connecting = room.worker.roads.vault, True

    async def save(password: str) -> UUID:
        sealed = seal_login(Login("ana", password), vault)
        there = [RemoteCalendar(f"{url}/work/", "Work", "UTC", primary=True, writable=True)]
        async with db.acquire(room.worker.pool) as conn, conn.transaction():
            account = Account("caldav", "ana@dav.example.com", sealed, url)
            return await save_account(conn, *about, account, there, room.worker.now())

    async def answer(request: web.Request) -> web.Response:
        refused.append(request.headers["Authorization"])
        if connecting:
            # its owner was quicker
            await save("new")
        return web.Response(status=401)

    async with serving(answer) as url:
        room.worker.roads = dataclasses.replace(room.worker.roads, guarded=room.worker.roads.session)
        connection_id = await save("old")
        await room.worker.read()
        assert refused
        assert (await state_of(room, connection_id))["status"] == "active"
        assert "calendar.disconnected" not in await room.happened()
        connecting = False
        await room.worker.later(minutes=1)
    assert len(set(refused)) == 2
    assert (await state_of(room, connection_id))["status"] == "needs_reauth"
    assert (await room.happened()).count("calendar.disconnected") == 1


async def test_a_grant_lasts_as_long_as_somebody_needs_it(room: Room) -> None:
    """Google has one for an account, however often it was asked."""
    async with db.acquire(room.worker.pool) as conn:
        other = await make_tenant(conn, room.worker.roads.vault)
    room.fake.add_account("second@example.com")
    others = await connect(room.worker, other, room.fake)
    again = await connect(room.worker, room.tenant, room.fake, account="second@example.com")
    async with db.acquire(room.worker.pool) as conn:
        row = await conn.fetchrow("select * from calendar_connections where id = $1", others)
    assert row is not None
    theirs = open_tokens(row["credentials_sealed"], room.worker.roads.vault).refresh_token
    ours = await refresh_token_of(room, room.connection_id)
    await ended(room, room.tenant.org_id, room.connection_id)
    assert not room.fake.oauth.is_revoked(theirs)
    assert (await state_of(room, room.connection_id))["credentials_sealed"] == b""
    mine = await refresh_token_of(room, again)
    await ended(room, other.org_id, others)
    assert [room.fake.oauth.is_revoked(each) for each in (ours, theirs, mine)] == [True, True, False]


# Answers.


@pytest.mark.parametrize("asked", ["999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_nobody_is_obeyed_for_more_than_an_hour(room: Room, soon: datetime, asked: str) -> None:
    latest = room.worker.now() + timedelta(hours=1, minutes=1)
    await room.book(soon + 9 * HOUR)
    room.fake.fail_next("POST .*events$", 429, 1, {"Retry-After": asked})
    await room.worker.write()
    rested = (await state_of(room, room.connection_id))["resting_until"]
    entry = await room.row("select due_at, error from calendar_events where org_id = $1")
    assert latest - timedelta(minutes=5) < rested < latest
    assert entry["error"] == "rate_limited"
    assert entry["due_at"] < latest
    room.worker.ahead += timedelta(hours=1, minutes=1)
    latest += timedelta(hours=1, minutes=1)
    room.fake.fail_next("GET", 429, 1, {"Retry-After": asked})
    await room.push()
    await room.worker.read()
    assert (await room.row("select next_poll_at from calendars where org_id = $1"))["next_poll_at"] < latest
    assert (await state_of(room, room.connection_id))["resting_until"] < latest
    await room.worker.later(hours=1, minutes=1)
    assert len(room.events()) == 1


async def test_what_nobody_foresaw_is_noted_and_tried_again_later(
    room: Room, soon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise KeyError("expirationDateTime")

    await room.book(soon + 9 * HOUR)
    for method in ("create", "changes", "full_sync"):
        monkeypatch.setattr(Google, method, fail)
    await room.worker.write()
    entry = await room.row("select error, attempts, leased_until from calendar_events where org_id = $1")
    assert tuple(entry) == ("internal_error", 1, None)
    waits = []
    for _ in range(3):
        await room.push()
        await room.worker.read()
        row = await room.row("select error, failures, next_poll_at from calendars where org_id = $1")
        assert row["error"] == "internal_error"
        waits.append(row["next_poll_at"] - room.worker.now())
    assert timedelta(seconds=3) < waits[0] < waits[1] < waits[2] < timedelta(minutes=1)
    monkeypatch.undo()
    await room.worker.later(minutes=1)
    assert len(room.events()) == 1
    assert (await room.row("select error from calendars where org_id = $1"))["error"] is None
