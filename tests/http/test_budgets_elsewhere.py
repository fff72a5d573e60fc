"""Limits of keys where nothing is booked by a slot: reservations of resources, and waiting lists."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.errors import BudgetExceeded, SlotTaken
from app.core.vault import Vault
from tests.browsers import Browser
from tests.budgets import beyond, counted, make_key, reserved, with_limits
from tests.offers import booked, iso, offer
from tests.rooms import location, room
from tests.support import Api, Tenant
from tests.waiting import awaited, join, joined, states

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CY = {"name": "Cy", "email": "cy@other.test", "timezone": "UTC"}


# --- resources, which keys reserve through the domain ---


async def test_reservations_have_the_same_limits(
    api: Api, owner: Browser, conn: db.Connection, vault: Vault, tenant: Tenant
) -> None:
    desk, now = await room(api, await location(api, "UTC")), datetime.now(UTC)
    limits = {"bookings_per_day": 2, "max_lead_days": 2, "attendee_domains": ["nobody.test"]}
    key = (await make_key(owner, limits=limits))["secret"]
    start = now.replace(minute=0, second=0, microsecond=0) + 2 * HOUR
    assert (await reserved(conn, vault, key, desk, start)).status == "SCHEDULED"
    with pytest.raises(SlotTaken):
        await reserved(conn, vault, key, desk, start)
    with pytest.raises(BudgetExceeded) as found:
        await reserved(conn, vault, key, desk, now + 3 * DAY)
    assert found.value.extra["reasons"] == ["max_lead_days"]
    await reserved(conn, vault, key, desk, start + HOUR)
    with pytest.raises(BudgetExceeded) as found:
        await reserved(conn, vault, key, desk, start + 2 * HOUR)
    assert found.value.extra["reasons"] == ["bookings_per_day"]
    assert await counted(conn, tenant) == [2]
    bound = (await make_key(owner, limits={"event_type_ids": [(await offer(api))["id"]]}))["secret"]
    with pytest.raises(BudgetExceeded) as found:
        await reserved(conn, vault, bound, desk, start + 2 * HOUR)
    assert found.value.extra["reasons"] == ["event_type_ids"]


# --- waiting lists ---


async def test_whoever_is_put_in_line_is_within_the_limits(
    api: Api, owner: Browser, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made, other = await awaited(api), await awaited(api)
    # they share the host
    await booked(api, made, soon)
    limits: dict[str, Any] = {"bookings_per_day": 2, "attendee_domains": ["example.com"]}
    agent = await with_limits(api, owner, event_type_ids=[made["id"]], **limits)
    beyond(await join(agent, made, soon, attendee=CY), "attendee_domains")
    beyond(await join(agent, other, soon), "event_type_ids")
    bots = {"slug": made["slug"], "contact_name": "Cy", "contact_email": "cy@other.test", "start_time": iso(soon)}
    beyond(await agent.post("/api/v1/waitlist", bots), "attendee_domains")
    entry = await joined(agent, made, soon)
    assert (await agent.call("DELETE", f"/v1/waitlist/{entry['id']}")).status == 204
    await joined(agent, made, soon, "anna")
    beyond(await join(agent, made, soon, "bert"), "bookings_per_day")
    assert await counted(conn, tenant) == [2]
    far = await with_limits(api, owner, max_lead_days=1)
    beyond(await join(far, made, soon), "max_lead_days")
    beyond(await join(far, made, None, date=iso(soon)[:10]), "max_lead_days")


async def test_others_are_not_taken_out_of_line(api: Api, owner: Browser, soon: datetime) -> None:
    made, other = await awaited(api), await awaited(api)
    await booked(api, made, soon)
    mine, theirs = await joined(api, made, soon, attendee=CY), await joined(api, other, soon)
    agent = await with_limits(api, owner, attendee_domains=["example.com"], event_type_ids=[made["id"]])
    beyond(await agent.call("DELETE", f"/v1/waitlist/{mine['id']}"), "attendee_domains")
    beyond(await agent.call("DELETE", f"/api/v1/waitlist/{theirs['id']}"), "event_type_ids")
    assert await states(api, mine, theirs) == ["waiting", "waiting"]
