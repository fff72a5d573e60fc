"""A host's bookings as a calendar that programs subscribe to: what is in it, who may have it, and what it costs."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.core import db
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.feeds.addresses import feed_token
from app.domain.feeds.service import write_feed
from app.domain.identity.keys import create_key
from app.faces.public import calendars
from tests.calendars import calendar_of, entries_of, entry_of, secret_of
from tests.offers import booked, offer
from tests.support import Api, Tenant, make_tenant
from tests.visitors import Anybody, uuid_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def anybody(api: Api) -> Anybody:
    return Anybody(api.client)


async def feed_of(api: Api, who: str = "me") -> str:
    """The path of somebody's feed."""
    url = (await api.get(f"/v1/users/{who}/feed")).ok()["feed"]["url"]
    return str(urlsplit(url).path)


async def uids(anybody: Anybody, path: str) -> set[str]:
    return {str(each["UID"]) for each in entries_of(await anybody.get(path))}


async def test_a_host_sees_whom_to_call(api: Api, anybody: Anybody, settings: Settings, soon: datetime) -> None:
    attendee = {"name": "Jane Smith", "email": "jane@example.com", "phone": "+1 555 0100", "timezone": "UTC"}
    guests = [{"email": "max@example.com", "name": "Max"}, {"email": "eve@example.com"}]
    booking = await booked(api, await offer(api), soon, attendee=attendee, guests=guests, notes="Bring the plans.")
    path = await feed_of(api)
    answer = await anybody.get(path)
    entry = entry_of(answer)
    assert (entry["UID"], entry.start, entry.end) == (booking["ical_uid"], soon, soon + HOUR)
    assert entry["SUMMARY"] == f"Call between {booking['hosts'][0]['name']} and Jane Smith"
    assert entry["DESCRIPTION"] == (
        "Jane Smith\njane@example.com\n+1 555 0100\n\nMax <max@example.com>\neve@example.com\n\nBring the plans."
    )
    assert entry["STATUS"] == "CONFIRMED"
    assert entry["ORGANIZER"] == f"mailto:{settings.sender}"
    calendar = calendar_of(answer)
    assert booking["hosts"][0]["name"] in calendar["X-WR-CALNAME"]
    assert b"REFRESH-INTERVAL;VALUE=DURATION:PT30M\r\n" in answer.raw
    assert b"X-PUBLISHED-TTL:PT30M\r\n" in answer.raw
    assert "private" in answer.headers["Cache-Control"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "Content-Disposition" not in answer.headers


async def test_an_address_is_given_again_and_ends_when_rotated(api: Api, anybody: Anybody) -> None:
    path = await feed_of(api)
    assert await feed_of(api) == path
    assert (await anybody.get(path)).status == 200
    renewed = (await api.post("/v1/users/me/feed/rotate")).ok()["feed"]["url"]
    assert urlsplit(renewed).path == await feed_of(api) != path
    assert (await anybody.get(path)).ok(404)["code"] == "link_not_found"
    assert (await anybody.get(urlsplit(renewed).path)).status == 200


async def test_me_is_whoever_the_key_belongs_to(api: Api) -> None:
    me = (await api.get("/v1/users/me")).ok()["user"]["id"]
    assert await feed_of(api, me) == await feed_of(api)
    assert (await api.post(f"/v1/users/{me}/feed/rotate")).ok()["feed"]["url"].endswith(await feed_of(api))
    for wrong in ["usr_x", "you", "bkg_x"]:
        assert (await api.get(f"/v1/users/{wrong}/feed")).ok(404)["code"] == "not_found"


async def test_somebody_elses_address_needs_more_than_reading(
    api: Api, anybody: Anybody, conn: db.Connection, tenant: Tenant
) -> None:
    """It stays good when the key that read it is revoked."""
    person = await api.person()
    me = (await api.get("/v1/users/me")).ok()["user"]["id"]
    reader = await with_scopes(api, conn, tenant, "bookings:read")
    for mine in ["me", me]:
        assert await feed_of(reader, mine) == await feed_of(api)
    refused = await reader.get(f"/v1/users/{person['id']}/feed")
    assert refused.ok(403)["code"] == "insufficient_scope"
    assert "users:write" in refused.json["detail"]
    both = await with_scopes(api, conn, tenant, "bookings:read", "users:write")
    assert await feed_of(both, person["id"]) == await feed_of(api, person["id"])
    assert (await anybody.get(await feed_of(both, person["id"]))).status == 200
    writer = await with_scopes(api, conn, tenant, "users:write")
    for who in ["me", me, person["id"]]:
        assert (await writer.get(f"/v1/users/{who}/feed")).ok(403)["code"] == "insufficient_scope"


async def with_scopes(api: Api, conn: db.Connection, tenant: Tenant, *scopes: str) -> Api:
    """A caller with a key of the same person that may do less."""
    _, key = await create_key(conn, tenant.org_id, tenant.user_id, name="less", scopes=scopes, now=datetime.now(UTC))
    return Api(api.client, key)


async def test_whoever_is_removed_has_no_feed(api: Api, anybody: Anybody) -> None:
    person = await api.person()
    path = await feed_of(api, person["id"])
    assert (await anybody.get(path)).status == 200
    assert (await api.call("DELETE", f"/v1/users/{person['id']}")).status == 204
    assert (await anybody.get(path)).ok(404)["code"] == "link_not_found"
    assert (await api.get(f"/v1/users/{person['id']}/feed")).status == 404
    assert (await api.post(f"/v1/users/{person['id']}/feed/rotate")).status == 404


async def test_garbled_and_forged_addresses_are_unknown(
    api: Api, anybody: Anybody, conn: db.Connection, vault: Vault, tenant: Tenant
) -> None:
    other = await make_tenant(conn, vault)
    theirs = await secret_of(conn, vault, other.org_id)
    token = (await feed_of(api)).removeprefix("/feeds/").removesuffix(".ics")
    forged = [
        feed_token(theirs, tenant.org_id, tenant.user_id, 0),
        feed_token(theirs, other.org_id, tenant.user_id, 0),
        feed_token(await secret_of(conn, vault, tenant.org_id), other.org_id, other.user_id, 0),
    ]
    bent = token[:-5] + ("A" if token[-5] != "A" else "B") + token[-4:]
    for wrong in [*forged, bent, token[:-1], token + "A", "x", "%00", "cft_" + token]:
        assert (await anybody.get(f"/feeds/{wrong}.ics")).status == 404, wrong
    assert (await anybody.get(f"/feeds/{token}")).status == 404
    assert (await anybody.get(f"/v1/cancel/{token}")).status == 404, "it is a link to nothing else"
    assert (await anybody.post(f"/feeds/{token}.ics")).ok(405)["code"] == "method_not_allowed"
    stranger = Api(api.client, other.api_key)
    me = (await api.get("/v1/users/me")).ok()["user"]["id"]
    assert (await stranger.get(f"/v1/users/{me}/feed")).status == 404
    assert (await stranger.post(f"/v1/users/{me}/feed/rotate")).status == 404


async def test_what_is_in_it(api: Api, anybody: Anybody, conn: db.Connection, soon: datetime) -> None:
    """What keeps the host's time, or did."""
    event_type, asking = await offer(api), await offer(api, requires_confirmation=True)
    kept = await booked(api, event_type, soon)
    pending = await booked(api, asking, soon + HOUR)
    moved = await booked(api, event_type, soon + 2 * HOUR)
    body = {"start_time": (soon + 3 * HOUR).isoformat()}
    (await api.post(f"/v1/bookings/{moved['id']}/reschedule", body)).ok()
    over = await booked(api, event_type, soon + 4 * HOUR)
    ended = [(await booked(api, event_type, soon + hour * HOUR))["id"] for hour in (5, 6)]
    (await api.post(f"/v1/bookings/{ended[0]}/cancel")).ok()
    await put(conn, ended[1], datetime.now(UTC) - HOUR, "NO_SHOW")
    await put(conn, over["id"], datetime.now(UTC) - 2 * HOUR, "COMPLETED")
    hold = {"event_type": event_type["code"], "requested_time": (soon + 8 * HOUR).isoformat(), "hold_seconds": 600}
    (await api.post("/v1/bookings", hold)).ok(201)
    entries = {str(each["UID"]): each for each in entries_of(await anybody.get(await feed_of(api)))}
    assert set(entries) == {each["ical_uid"] for each in (kept, pending, moved, over)}
    assert entries[pending["ical_uid"]]["STATUS"] == "TENTATIVE"
    assert entries[moved["ical_uid"]].start == soon + 3 * HOUR


async def put(conn: db.Connection, booking_id: str, start: datetime, status: str) -> None:
    await conn.execute(
        "update bookings set starts_at = $2::timestamptz, ends_at = $2 + interval '1 hour', status = $3 where id = $1",
        *(uuid_of(booking_id), start, status),
    )


@pytest.mark.parametrize(("away", "shown"), [(-29, True), (-31, False), (399, True), (401, False)])
async def test_how_far_it_reaches(
    api: Api, anybody: Anybody, conn: db.Connection, soon: datetime, away: int, *, shown: bool
) -> None:
    booking = await booked(api, await offer(api), soon)
    await put(conn, booking["id"], datetime.now(UTC) + away * DAY, "COMPLETED" if away < 0 else "SCHEDULED")
    assert await uids(anybody, await feed_of(api)) == ({booking["ical_uid"]} if shown else set())


async def test_everybody_has_their_own(
    api: Api, anybody: Anybody, conn: db.Connection, vault: Vault, soon: datetime
) -> None:
    """All hosts of what takes them all, the one who was chosen of what takes one, and nobody of other organizations."""
    together = await offer(api, people=3, assignment="collective")
    hosts = [each["user_id"] for each in together["hosts"]]
    alone = await offer(api, hosts=[{"user_id": hosts[1]}])
    all_of_us, mine = await booked(api, together, soon), await booked(api, alone, soon + HOUR)
    assert len(all_of_us["hosts"]) == 3
    found = [await uids(anybody, await feed_of(api, each)) for each in hosts]
    both = {all_of_us["ical_uid"], mine["ical_uid"]}
    assert found == [{all_of_us["ical_uid"]}, both, {all_of_us["ical_uid"]}]
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    assert await uids(anybody, await feed_of(stranger)) == set()


async def test_it_speaks_the_hosts_language(api: Api, anybody: Anybody, soon: datetime) -> None:
    booking = await booked(api, await offer(api), soon)
    path = await feed_of(api)
    before = await anybody.get(path)
    me = booking["hosts"][0]["user_id"]
    (await api.call("PATCH", f"/v1/users/{me}", {"locale": "de"})).ok()
    after = await anybody.get(path, If_None_Match=before.headers["ETag"])
    assert entry_of(after)["SUMMARY"] != entry_of(before)["SUMMARY"]


async def test_an_unchanged_one_is_not_made(
    api: Api, anybody: Anybody, soon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_type = await offer(api)
    booking = await booked(api, event_type, soon)
    path = await feed_of(api)
    first = await anybody.get(path)

    def refuse(*_given: Any) -> bytes:
        raise AssertionError("it was made again")

    with monkeypatch.context() as patch:
        patch.setattr(calendars, "write_feed", refuse)
        same = await anybody.get(path, If_None_Match=first.headers["ETag"])
        assert (same.status, same.raw, same.headers["ETag"]) == (304, b"", first.headers["ETag"])
        assert "private" in same.headers["Cache-Control"]
    tag = first.headers["ETag"]
    assert (await anybody.get(path)).raw == first.raw
    me = booking["hosts"][0]["user_id"]
    changes: list[tuple[str, str, Any]] = [
        ("PATCH", f"/v1/bookings/{booking['id']}", {"attendee": {"phone": "+1 555 0199"}}),
        ("PATCH", f"/v1/event-types/{event_type['code']}", {"title": "Talk"}),
        ("PATCH", f"/v1/users/{me}", {"name": "Another name"}),
        ("PATCH", "/v1/organization", {"sender_name": "Acme"}),
        ("POST", f"/v1/bookings/{booking['id']}/cancel", None),
    ]
    for method, changed, body in changes:
        assert (await api.call(method, changed, body)).status == 200
        now = await anybody.get(path, If_None_Match=tag)
        assert now.status == 200, changed
        tag = now.headers["ETag"]


async def test_a_long_one_is_made_once_and_beside_the_event_loop(
    api: Api, anybody: Anybody, tenant: Tenant, conn: db.Connection, soon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two thousand and one bookings the last is left out."""
    booking = await booked(api, await offer(api), soon)
    await conn.execute(
        """
        insert into bookings
        select (jsonb_populate_record(b, jsonb_build_object(
            'id', gen_random_uuid(), 'code', 'MANY' || no, 'ical_uid', 'many-' || no || '@slotwire',
            'starts_at', b.starts_at + no * interval '1 hour', 'ends_at', b.ends_at + no * interval '1 hour'
        ))).*
        from bookings b, generate_series(1, 2000) no
        where b.org_id = $1 and b.id = $2
        """,
        *(tenant.org_id, uuid_of(booking["id"])),
    )
    threads = []

    def note(*given: Any) -> bytes:
        threads.append(threading.get_ident())
        return write_feed(*given)

    monkeypatch.setattr(calendars, "write_feed", note)
    path = await feed_of(api)
    answer = await anybody.get(path)
    assert (await anybody.get(path)).raw == answer.raw
    assert len(threads) == 1, "nor for a program that asks for all of it each time"
    assert threads[0] != threading.get_ident()
    found = answer.raw.count(b"BEGIN:VEVENT")
    assert (answer.status, found) == (200, 2000)
    assert b"many-1999@" in answer.raw
    assert b"many-2000@" not in answer.raw, "the furthest are left out"
