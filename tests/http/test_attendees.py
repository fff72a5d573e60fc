"""Changing who comes: seed 001's PATCH, its rules, and what follows from a changed e-mail."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.ids import Kind, decode
from app.core.vault import Vault
from tests.offers import booked, offer
from tests.support import Api, Tenant
from tests.visitors import PROGRAM, Anybody, confirm_token

HOUR = timedelta(hours=1)


async def patch(api: Api, booking: Any, **attendee: Any) -> Any:
    return await api.call("PATCH", f"/v1/bookings/{booking['id']}", {"attendee": attendee})


async def types(api: Api, booking: Any) -> list[str]:
    found = (await api.get(f"/v1/events?booking_id={booking['id']}")).ok()["events"]
    return [each["type"] for each in found]


async def test_only_what_is_given_changes(api: Api, soon: datetime) -> None:
    booking = await booked(api, await offer(api), soon)
    changed = (await patch(api, booking, name="Janet Smith")).ok()["booking"]
    assert changed["attendee"] == {**booking["attendee"], "name": "Janet Smith"}
    kept = {"attendee", "updated_at"}
    assert {k: v for k, v in changed.items() if k not in kept} == {k: v for k, v in booking.items() if k not in kept}
    assert (await api.get(f"/v1/bookings/{booking['id']}")).ok()["booking"] == {**changed, "calendar_events": []}
    phoned = (await patch(api, booking, phone="+1-555-0123")).ok()["booking"]
    assert phoned["attendee"]["phone"] == "+1-555-0123"
    assert (await patch(api, booking, phone=None)).ok()["booking"]["attendee"]["phone"] is None


async def test_each_change_is_one_event_that_says_what_was_before(api: Api, soon: datetime) -> None:
    booking = await booked(api, await offer(api), soon)
    await patch(api, booking, email="new@example.com")
    await patch(api, booking, email="new@example.com")
    await patch(api, booking)
    assert (await api.call("PATCH", f"/v1/bookings/{booking['id']}", {})).status == 200
    assert await types(api, booking) == ["booking.created", "booking.updated"]
    event = (await api.get(f"/v1/events?booking_id={booking['id']}")).ok()["events"][1]
    assert event["sequence"] == 2
    assert event["data"]["previous"] == {"attendee": booking["attendee"]}
    assert event["data"]["booking"]["attendee"]["email"] == "new@example.com"


async def test_a_new_e_mail_ends_the_links_that_the_old_one_got(api: Api, soon: datetime) -> None:
    booking = await booked(api, await offer(api), soon)
    same = (await patch(api, booking, name="J", email="JANE@example.com")).ok()["booking"]
    assert same["cancel_token"] == booking["cancel_token"], "the same mailbox"
    changed = (await patch(api, booking, email="other@example.com")).ok()["booking"]
    assert changed["cancel_token"] != booking["cancel_token"]
    assert changed["reschedule_token"] != booking["reschedule_token"]


async def test_a_new_zone_is_promised_anew(api: Api, conn: db.Connection, tenant: Tenant, soon: datetime) -> None:
    booking = await booked(api, await offer(api), soon)
    changed = (await patch(api, booking, timezone="Pacific/Chatham")).ok()["booking"]
    assert changed["timezone"] == changed["attendee"]["timezone"] == "Pacific/Chatham"
    row = await conn.fetchrow("select local_start, starts_at from bookings where org_id = $1", tenant.org_id)
    assert row is not None
    assert row["local_start"] - row["starts_at"].replace(tzinfo=None) in {
        timedelta(hours=12.75),
        timedelta(hours=13.75),
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"start_time": "2026-05-01T14:00:00Z"}, "start_time"),
        ({"status": "CANCELLED"}, "status"),
        ({"assigned_to_id": None}, "assigned_to_id"),
        ({"metadata": {}}, "metadata"),
        ({"attendee": {"company": "Acme"}}, "attendee.company"),
        ({"attendee": {"email": "x"}}, "attendee.email"),
        ({"attendee": {"email": None}}, "attendee.email"),
        ({"attendee": {"name": ""}}, "attendee.name"),
        ({"attendee": {"name": None}}, "attendee.name"),
        ({"attendee": {"timezone": "Mars/Olympus"}}, "attendee.timezone"),
        ({"attendee": {"timezone": None}}, "attendee.timezone"),
        ({"attendee": {"phone": 5}}, "attendee.phone"),
        ({"attendee": "Jane"}, "attendee"),
    ],
)
async def test_anything_else_is_refused_by_name(api: Api, soon: datetime, body: Any, field: str) -> None:
    booking = await booked(api, await offer(api), soon)
    problem = (await api.call("PATCH", f"/v1/bookings/{booking['id']}", body)).ok(400)
    assert [each["field"] for each in problem["errors"]] == [field]
    assert (await api.get(f"/v1/bookings/{booking['id']}")).ok()["booking"] == {**booking, "calendar_events": []}


async def test_only_of_bookings_that_somebody_waits_for(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made = await offer(api, requires_confirmation=True)
    pending = await booked(api, made, soon)
    assert (await patch(api, pending, name="P")).ok()["booking"]["status"] == "PENDING_CONFIRMATION"
    await api.post(f"/v1/bookings/{pending['id']}/confirm")
    moved = (await api.post(f"/v1/bookings/{pending['id']}/reschedule", {"start_time": str(soon + HOUR)})).ok()
    assert (await patch(api, moved["booking"], name="R")).ok()["booking"]["status"] == "RESCHEDULED"
    assert (await patch(api, pending, name="X")).ok(409)["code"] == "invalid_transition"
    held = await booked(api, made, soon + 5 * HOUR, hold_seconds=600)
    assert (await patch(api, held, name="X")).ok(409)["code"] == "invalid_transition"
    ended = "update bookings set status = $3 where org_id = $1 and id = $2"
    for status in ("COMPLETED", "NO_SHOW"):
        await conn.execute(ended, tenant.org_id, decode(Kind.BOOKING, moved["booking"]["id"]), status)
        assert (await patch(api, moved["booking"], name="X")).ok(409)["code"] == "invalid_transition"


async def test_the_hosts_link_is_not_the_attendees(
    api: Api, conn: db.Connection, vault: Vault, tenant: Tenant, soon: datetime
) -> None:
    """A corrected e-mail ends the attendee's links; the host still answers the request by theirs."""
    asked = await booked(api, await offer(api, requires_confirmation=True), soon)
    token = await confirm_token(conn, vault, tenant, asked["id"])
    await patch(api, asked, email="other@example.com")
    anybody = Anybody(api.client)
    assert (await anybody.get(f"/v1/cancel/{asked['cancel_token']}", **PROGRAM)).status == 404
    assert (await anybody.post(f"/v1/bookings/{token}/confirm", **PROGRAM)).ok()["status"] == "confirmed"
