"""A real worker, and what arrives when: a booking's events in their order, and a receiver that was down gets everything
when it is back, without having used up its retries."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from app.core.settings import Settings
from tests.offers import booked, offer
from tests.processes import running
from tests.support import Api, Receiver, Servers, environment_for, eventually, settings_for

HOUR = timedelta(hours=1)
STORY = ["booking.created", "booking.updated", "booking.cancelled"]


@pytest.fixture
def settings(migrated: Servers) -> Settings:
    return settings_for(migrated, webhook_timeout_seconds=1.0)


async def subscribe(api: Api, receiver: Receiver) -> Any:
    url = await receiver.start()
    return (await api.post("/v1/webhooks", {"url": url, "events": STORY})).ok(201)["webhook"]


async def story(api: Api, event_type: Any, start: datetime) -> str:
    made = await booked(api, event_type, start)
    (await api.call("PATCH", f"/v1/bookings/{made['id']}", {"attendee": {"name": "Janet Smith"}})).ok()
    (await api.post(f"/v1/bookings/{made['id']}/cancel", {"reason": "ill"})).ok()
    return str(made["id"])


def told(receiver: Receiver) -> dict[str, list[str]]:
    """The types of what was received, by booking, repeats too."""
    found: dict[str, list[str]] = {}
    for each in receiver.received:
        found.setdefault(each.json["data"]["booking"]["id"], []).append(each.json["type"])
    return found


async def test_two_workers_tell_each_bookings_story_in_its_order(
    api: Api, soon: datetime, settings: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    """Some answers take longer than others: what is sent side by side would overtake."""

    async def answer(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.15 * (len(receiver.received) % 3))
        return web.Response()

    receiver.behaviour = answer
    await subscribe(api, receiver)
    event_type = await offer(api)
    environment = environment_for(settings)
    async with (
        running(["workers.main"], environment, tmp_path / "1.log"),
        running(["workers.main"], environment, tmp_path / "2.log"),
    ):
        made = await asyncio.gather(*(story(api, event_type, soon + hour * HOUR) for hour in range(12)))
        await receiver.wait_for(36, seconds=30)
    assert told(receiver) == dict.fromkeys(made, STORY)


async def test_what_follows_a_failed_event_comes_after_its_retry(
    api: Api, soon: datetime, settings: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    async def fail_once(_request: web.Request) -> web.Response:
        return web.Response(status=500 if len(receiver.received) == 1 else 200)

    receiver.behaviour = fail_once
    await subscribe(api, receiver)
    async with running(["workers.main"], environment_for(settings), tmp_path / "worker.log"):
        made = await story(api, await offer(api), soon)
        await receiver.wait_for(4)
    assert told(receiver) == {made: ["booking.created", *STORY]}
    assert receiver.received[3].at - receiver.received[1].at < timedelta(seconds=60), (
        "not by a retry of its own when it is delivered"
    )


async def test_a_receiver_that_was_down_gets_everything_and_few_attempts_were_wasted(
    api: Api, soon: datetime, settings: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    well = asyncio.Event()

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=200 if well.is_set() else 500)

    receiver.behaviour = answer
    await subscribe(api, receiver)
    event_type = await offer(api)

    async def everything() -> bool:
        return set(told(receiver)) == set(made)

    made = [(await booked(api, event_type, soon + hour * HOUR))["id"] for hour in range(60)]
    async with running(["workers.main"], environment_for(settings), tmp_path / "worker.log"):
        await asyncio.sleep(3)
        assert len(receiver.received) <= 13, "ten at first, then one after each rest"
        well.set()
        await eventually(everything, seconds=20)
    assert len(receiver.received) <= 73
