"""Limits of keys beside plain bookings: holds of others, reservations of resources, and waiting lists."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.errors import BudgetExceeded, SlotTaken
from app.core.settings import Settings
from app.core.vault import Vault
from tests.browsers import Browser
from tests.budgets import beyond, counted, make_key, reserved, with_limits
from tests.http.test_holds import run_out
from tests.offers import booked, iso, offer
from tests.rooms import location, room
from tests.support import Api, Tenant
from tests.visitors import status_of
from tests.waiting import awaited, cancel, entry_of, join, joined, states, tend

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CY = {"name": "Cy", "email": "cy@other.test", "timezone": "UTC"}


# --- holds of others ---


async def test_a_key_finishes_holds_of_its_own(
    api: Api, owner: Browser, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """Or its day would end where others' holds begin."""
    made = await offer(api)
    agent, other = [await with_limits(api, owner, bookings_per_day=1) for _ in range(2)]
    body = {"event_type": made["code"], "requested_time": iso(soon), "hold_seconds": 600}
    mine = (await agent.post("/v1/bookings", body)).ok(201)["booking"]
    held = [(mine, other)]
    for number, holder in enumerate((api, other), start=1):
        when = {"requested_time": iso(soon + number * HOUR)}
        held.append(((await holder.post("/v1/bookings", {**body, **when})).ok(201)["booking"], agent))
    for hold, stranger in held:
        path = f"/v1/bookings/{hold['id']}/finish"
        told = beyond(await stranger.post(path, {"attendee": CY}), "bookings_per_day")
        assert "holds of its own" in told
        assert await status_of(api, hold["id"]) == "DRAFT"
    path = f"/v1/bookings/{mine['id']}/finish"
    done = (await agent.post(path, {"attendee": CY})).ok()["booking"]
    assert done["status"] == "SCHEDULED"
    for each in (agent, other, api):
        assert (await each.post(path)).ok()["booking"]["status"] == "SCHEDULED", "a repeat makes nothing"
    assert await counted(conn, tenant) == [1, 1]
    # whoever has no number of bookings a day finishes anybody's
    free = await with_limits(api, owner, max_lead_days=60)
    for hold, _ in held[1:]:
        (await free.post(f"/v1/bookings/{hold['id']}/finish", {"attendee": CY})).ok()


async def test_what_a_waiting_list_offers_is_no_hold_of_its_own(
    api: Api, owner: Browser, conn: db.Connection, settings: Settings, soon: datetime
) -> None:
    """Whoever waited takes it by the link in their mail."""
    made, agent = await awaited(api), await with_limits(api, owner, bookings_per_day=5)
    taken = await booked(api, made, soon)
    entry = await joined(api, made, soon)
    await cancel(api, taken)
    await tend(conn, settings)
    offered = (await entry_of(api, entry))["booking_id"]
    assert "mail" in beyond(await agent.post(f"/v1/bookings/{offered}/finish"), "bookings_per_day")
    (await api.post(f"/v1/bookings/{offered}/finish")).ok()


async def test_a_hold_that_is_over_is_told_as_such(
    api: Api, owner: Browser, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made, agent = await offer(api), await with_limits(api, owner, bookings_per_day=5)
    body = {"event_type": made["code"], "requested_time": iso(soon), "hold_seconds": 600}
    held = (await api.post("/v1/bookings", body)).ok(201)["booking"]
    await run_out(conn, tenant)
    answer = await agent.post(f"/v1/bookings/{held['id']}/finish", {"attendee": CY})
    assert answer.ok(409)["code"] == "invalid_transition"
    assert (await agent.post("/v1/bookings/bkg_01h455vb4pex5vsknk084sn02q/finish")).status == 404


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


async def test_a_day_is_waited_for_where_all_of_it_is_near(api: Api, owner: Browser) -> None:
    """What is offered may begin as late as the day ends."""
    weekly = [{"day": day, "start": "00:00", "end": "01:00"} for day in ("MO", "TU", "WE", "TH", "FR", "SA", "SU")]
    schedule = (await api.post("/v1/schedules", {"name": "Early", "timezone": "UTC", "weekly": weekly})).ok(201)
    made = await awaited(api, schedule_id=schedule["schedule"]["id"])
    agent = await with_limits(api, owner, max_lead_days=3)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    last, before = today + 3 * DAY, today + 2 * DAY
    for start in (before, last):
        await booked(api, made, start)
    told = beyond(await join(agent, made, None, date=f"{last:%Y-%m-%d}"), "max_lead_days")
    assert "choose a start until" in told
    assert (await join(agent, made, None, date=f"{before:%Y-%m-%d}")).status == 201
    assert (await join(agent, made, last, "anna")).status == 201, "a start by itself ends where it begins"
