"""The link of an offer: looking, taking the place, and leaving it to the next in line."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from app.core import db
from app.core.settings import Settings
from app.core.vault import Vault
from tests.offers import booked
from tests.support import Api, Tenant, make_tenant
from tests.visitors import BROWSER, Anybody, let_it_be_over, status_of
from tests.waiting import QUESTION, awaited, cancel, entry_of, joined, offer_path, states, tend


@pytest.fixture
def anybody(api: Api) -> Anybody:
    return Anybody(api.client)


@pytest.fixture
async def offered(
    api: Api, conn: db.Connection, vault: Vault, tenant: Tenant, settings: Settings, soon: datetime
) -> Any:
    """Somebody with an offer, its address, and somebody behind them."""
    made = await awaited(api)
    taken = await booked(api, made, soon)
    entry, other = await joined(api, made, soon, "ann"), await joined(api, made, soon, "ben")
    await cancel(api, taken)
    await tend(conn, settings)
    entry = await entry_of(api, entry)
    return {"entry": entry, "other": other, "path": await offer_path(conn, vault, tenant, entry), "type": made}


async def test_merely_looking_at_an_offer_changes_nothing(api: Api, anybody: Anybody, offered: Any) -> None:
    path = offered["path"]
    page = await anybody.get(path, **BROWSER)
    text = page.raw.decode()
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert (page.headers["Cache-Control"], page.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert text.count("<form") == 2
    assert f'action="{path}/accept"' in text
    assert f'action="{path}/leave"' in text
    shown = (await anybody.get(path)).ok()
    assert (shown["offer"], shown["offer_expires_at"]) == ("open", offered["entry"]["offer_expires_at"])
    assert (shown["id"], shown["status"], shown["cancel_token"]) == (offered["entry"]["booking_id"], "draft", None)
    for accept in ({}, BROWSER, {"Accept": "application/json"}):
        assert (await anybody.call("HEAD", path, **accept)).status == 200
    assert (await anybody.get(f"{path}/accept")).status == 405
    assert (await anybody.get(f"{path}/leave")).status == 405
    assert await states(api, offered["entry"], offered["other"]) == ["offered", "waiting"]


async def test_an_offer_is_taken_by_its_button(api: Api, anybody: Anybody, offered: Any) -> None:
    path = offered["path"]
    page = (await anybody.press(f"{path}/accept")).raw.decode()
    assert "This booking is confirmed" in page
    assert "<form" not in page
    assert await states(api, offered["entry"]) == ["booked"]
    assert await status_of(api, offered["entry"]["booking_id"]) == "SCHEDULED"
    assert "<form" not in (await anybody.get(path, **BROWSER)).raw.decode()
    assert (await anybody.get(path)).ok()["offer"] == "accepted"
    left = await anybody.press(f"{path}/leave")
    assert left.status == 409
    assert "cannot be changed" in left.raw.decode()
    again = (await anybody.post(f"{path}/accept")).ok()
    assert (again["status"], again["offer"]) == ("confirmed", "accepted")


async def test_an_offer_is_taken_by_a_program(api: Api, anybody: Anybody, offered: Any) -> None:
    taken = (await anybody.post(f"{offered['path']}/accept", {})).ok()
    assert (taken["status"], taken["offer"], taken["offer_expires_at"]) == ("confirmed", "accepted", None)
    cancelled = await anybody.post(f"/v1/cancel/{taken['cancel_token']}/confirm")
    assert cancelled.ok()["status"] == "cancelled"
    assert (await anybody.get(offered["path"])).ok()["offer"] == "over"
    assert (await anybody.post(f"{offered['path']}/accept")).ok(409)["code"] == "invalid_transition"


async def test_an_offer_is_left_to_the_next(
    api: Api, anybody: Anybody, conn: db.Connection, settings: Settings, offered: Any
) -> None:
    path = offered["path"]
    page = (await anybody.press(f"{path}/leave")).raw.decode()
    assert "This offer is over" in page
    assert "<form" not in page
    await tend(conn, settings)
    assert await states(api, offered["entry"], offered["other"]) == ["left", "offered"]
    assert (await anybody.post(f"{path}/leave")).ok()["offer"] == "over"
    problem = (await anybody.post(f"{path}/accept")).ok(409)
    assert (problem["code"], "next in line" in problem["detail"]) == ("invalid_transition", True)
    assert await states(api, offered["entry"], offered["other"]) == ["left", "offered"]


async def test_an_offer_that_ran_out_is_over_before_the_worker_says_so(
    api: Api, anybody: Anybody, conn: db.Connection, tenant: Tenant, offered: Any
) -> None:
    await conn.execute(
        "update bookings set hold_expires_at = now() - interval '1 second' where org_id = $1 and status = 'DRAFT'",
        tenant.org_id,
    )
    assert (await anybody.get(offered["path"])).ok()["offer"] == "over"
    assert (await anybody.post(f"{offered['path']}/accept")).ok(409)["code"] == "invalid_transition"
    assert await states(api, offered["entry"]) == ["offered"]


async def test_the_links_end_with_the_booking(anybody: Anybody, conn: db.Connection, offered: Any) -> None:
    await let_it_be_over(conn, offered["entry"]["booking_id"])
    for answer in (
        await anybody.get(offered["path"]),
        await anybody.post(f"{offered['path']}/accept"),
        await anybody.post(f"{offered['path']}/leave"),
    ):
        assert answer.ok(410)["code"] == "link_expired"


async def test_other_tokens_open_no_offer(
    api: Api, anybody: Anybody, conn: db.Connection, vault: Vault, offered: Any
) -> None:
    booking = (await api.get(f"/v1/bookings/{offered['entry']['booking_id']}")).ok()["booking"]
    token = offered["path"].rsplit("/", 1)[1]
    forged = (await offer_path(conn, vault, await make_tenant(conn, vault), offered["entry"])).rsplit("/", 1)[1]
    for wrong in (booking["cancel_token"], booking["reschedule_token"], booking["id"], forged, token[:-1], "x"):
        assert (await anybody.get(f"/v1/offers/{wrong}")).ok(404)["code"] == "link_not_found"
        assert (await anybody.post(f"/v1/offers/{wrong}/accept")).status == 404
    for path in (f"/v1/cancel/{token}", f"/v1/reschedule/{token}"):
        assert (await anybody.get(path)).status == 404
    assert await states(api, offered["entry"]) == ["offered"]


async def test_accepting_and_leaving_at_once(
    api: Api, anybody: Anybody, conn: db.Connection, settings: Settings, offered: Any
) -> None:
    steps = [f"{offered['path']}/{step}" for step in ("accept", "leave")] * 8
    own = api.call("DELETE", f"/v1/waitlist/{offered['entry']['id']}")
    answers = await asyncio.gather(own, *(anybody.post(step) for step in steps))
    assert {each.status for each in answers} <= {200, 204, 409}
    await tend(conn, settings)
    assert await states(api, offered["entry"], offered["other"]) in (["booked", "waiting"], ["left", "offered"])


async def test_a_place_that_needs_confirming_is_asked_for(
    api: Api, conn: db.Connection, vault: Vault, tenant: Tenant, settings: Settings, anybody: Anybody, soon: datetime
) -> None:
    """A decline by the host is an end like any other: the next in line is offered the place."""
    made = await awaited(api, requires_confirmation=True)
    taken = await booked(api, made, soon)
    first, second = await joined(api, made, soon, "ann"), await joined(api, made, soon, "ben")
    (await api.post(f"/v1/bookings/{taken['id']}/decline")).ok()
    await tend(conn, settings)
    first = await entry_of(api, first)
    path = await offer_path(conn, vault, tenant, first)
    assert (await anybody.post(f"{path}/accept")).ok()["status"] == "pending"
    assert await states(api, first, second) == ["booked", "waiting"]
    (await api.post(f"/v1/bookings/{first['booking_id']}/decline")).ok()
    await tend(conn, settings)
    assert await states(api, first, second) == ["booked", "offered"]


async def test_questions_that_came_later(
    api: Api, conn: db.Connection, vault: Vault, tenant: Tenant, settings: Settings, anybody: Anybody, offered: Any
) -> None:
    """Nobody is offered what they could not take; what was offered before is refused in words that help."""
    path = f"/v1/event-types/{offered['type']['code']}"
    (await api.call("PATCH", path, {"questions": [QUESTION]})).ok()
    problem = (await anybody.post(f"{offered['path']}/accept")).ok(409)
    assert (problem["code"], "was changed since" in problem["detail"]) == ("slot_unavailable", True)
    assert "was changed since" in (await anybody.press(f"{offered['path']}/accept")).raw.decode()
    await anybody.post(f"{offered['path']}/leave")
    await tend(conn, settings)
    assert await states(api, offered["entry"], offered["other"]) == ["left", "waiting"]
