"""A booking as a calendar file: by a key, by every link to it, and what it says at each step of its life."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.ids import new_id
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.bookings.tokens import Purpose
from app.main import build_app
from tests.calendars import entry_of, link_tokens
from tests.conftest import AiohttpClient
from tests.offers import booked, iso, offer
from tests.support import Answer, Api, Tenant, booking_body, make_tenant
from tests.visitors import BROWSER, Anybody, let_it_be_over, uuid_of

HOUR = timedelta(hours=1)


@pytest.fixture
def anybody(api: Api) -> Anybody:
    return Anybody(api.client)


def path_of(token: str) -> str:
    return f"/v1/bookings/{token}/invite.ics"


async def by_key(api: Api, booking: Any) -> Answer:
    return await api.get(path_of(booking["id"]))


async def moved_to(api: Api, booking: Any, start: datetime) -> Any:
    answer = await api.post(f"/v1/bookings/{booking['id']}/reschedule", {"start_time": iso(start)})
    return answer.ok()["booking"]


async def test_it_is_the_booking(api: Api, settings: Settings, tenant: Tenant, soon: datetime) -> None:
    event_type = await offer(
        api, title="Talk; or <b>not</b>", location={"kind": "link", "value": "https://meet.example"}
    )
    booking = await booked(api, event_type, soon, notes="Line one\nLine two, with a comma")
    answer = await by_key(api, booking)
    entry = entry_of(answer)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="invite.ics"'
    assert (entry["UID"], entry["SEQUENCE"]) == (booking["ical_uid"], booking["ical_sequence"])
    assert (entry.start, entry.end) == (soon, soon + HOUR)
    assert entry["SUMMARY"] == f"Talk; or <b>not</b> between {booking['hosts'][0]['name']} and Jane Smith"
    assert entry["DESCRIPTION"] == "Line one\nLine two, with a comma"
    assert entry["LOCATION"] == "https://meet.example"
    assert entry["STATUS"] == "CONFIRMED"
    assert entry["ORGANIZER"] == f"mailto:{settings.sender}"
    assert entry["ORGANIZER"].params["CN"] == (await api.get("/v1/organization")).ok()["organization"]["name"]


async def test_an_unchanged_one_is_not_sent_again(
    api: Api, anybody: Anybody, conn: db.Connection, vault: Vault, tenant: Tenant, soon: datetime
) -> None:
    booking = await booked(api, await offer(api), soon)
    token = (await link_tokens(conn, vault, tenant, booking["id"]))[Purpose.VIEW]
    callers: list[tuple[Api | Anybody, str]] = [(api, path_of(booking["id"])), (anybody, path_of(token))]
    for caller, path in callers:
        first = await caller.get(path)
        again = await caller.get(path, If_None_Match=first.headers["ETag"])
        assert (again.status, again.raw) == (304, b"")
        assert "private" in first.headers["Cache-Control"]
        head = await caller.call("HEAD", path)
        assert (head.status, head.raw, head.headers["ETag"]) == (200, b"", first.headers["ETag"])
    (await api.post(f"/v1/bookings/{booking['id']}/cancel")).ok()
    assert (await api.get(path_of(booking["id"]), If_None_Match=first.headers["ETag"])).status == 200


@pytest.mark.parametrize("purpose", Purpose)
async def test_every_link_of_the_booking_opens_it(
    api: Api, anybody: Anybody, conn: db.Connection, vault: Vault, tenant: Tenant, soon: datetime, purpose: Purpose
) -> None:
    event_type = await offer(api)
    booking, other = await booked(api, event_type, soon), await booked(api, event_type, soon + HOUR)
    token = (await link_tokens(conn, vault, tenant, booking["id"]))[purpose]
    answer = await anybody.get(path_of(token), Origin="https://mail.example.com")
    assert entry_of(answer)["UID"] == booking["ical_uid"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in answer.headers["X-Robots-Tag"]
    beside = await anybody.get(f"{path_of(booking['id'])}?token={token}")
    assert beside.raw == answer.raw
    assert (await anybody.get(f"{path_of(other['id'])}?token={token}")).ok(404)["code"] == "link_not_found"
    assert (await anybody.get(f"{path_of(token)}?token=x")).ok(404)["code"] == "link_not_found"
    bent = token[:-9] + ("A" if token[-9] != "A" else "B") + token[-8:]
    for wrong in [bent, token[:-1], token[4:], "x", f"cft_{token}", f"vwt_{token}"]:
        assert (await anybody.get(path_of(wrong))).ok(404)["code"] == "link_not_found"
    assert "does not work" in (await anybody.get(path_of(bent), **BROWSER)).raw.decode()


async def test_a_view_link_only_views(
    api: Api, anybody: Anybody, conn: db.Connection, vault: Vault, tenant: Tenant, soon: datetime
) -> None:
    booking = await booked(api, await offer(api, requires_confirmation=True), soon)
    token = (await link_tokens(conn, vault, tenant, booking["id"]))[Purpose.VIEW]
    for each in (token, token.removeprefix("vwt_"), token.replace("vwt_", "cft_")):
        assert (await anybody.post(f"/v1/cancel/{each}/confirm")).status == 404
        assert (await anybody.post(f"/v1/reschedule/{each}", {"start_time": iso(soon + HOUR)})).status == 404
        assert (await anybody.post(f"/v1/bookings/{each}/confirm")).status in {401, 404}
    (await api.call("PATCH", f"/v1/bookings/{booking['id']}", {"attendee": {"email": "new@example.com"}})).ok()
    assert (await anybody.get(path_of(token))).status == 404, "it ends with the attendee's other links"
    renewed = (await link_tokens(conn, vault, tenant, booking["id"], 1))[Purpose.VIEW]
    assert (await anybody.get(path_of(renewed))).status == 200


async def test_ids_need_a_key(api: Api, anybody: Anybody, conn: db.Connection, vault: Vault, soon: datetime) -> None:
    booking = await booked(api, await offer(api), soon)
    assert (await anybody.get(path_of(booking["id"]))).ok(401)["code"] == "unauthorized"
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    assert (await stranger.get(path_of(booking["id"]))).ok(404)["code"] == "not_found"
    weak = Api(api.client, (await make_tenant(conn, vault, scopes=("slots:read",))).api_key)
    assert (await weak.get(path_of(booking["id"]))).ok(403)["code"] == "insufficient_scope"
    unknown = f"{path_of(booking['id'])}?page=1"
    assert (await api.get(unknown)).ok(400)["errors"][0]["field"] == "page"


async def test_another_organization_cannot_make_a_link(
    api: Api, anybody: Anybody, conn: db.Connection, vault: Vault, soon: datetime
) -> None:
    booking = await booked(api, await offer(api), soon)
    forged = await link_tokens(conn, vault, await make_tenant(conn, vault), booking["id"])
    for token in forged.values():
        assert (await anybody.get(path_of(token))).ok(404)["code"] == "link_not_found"


async def test_its_methods_and_its_preflight(
    api: Api, anybody: Anybody, conn: db.Connection, vault: Vault, tenant: Tenant, soon: datetime
) -> None:
    booking = await booked(api, await offer(api), soon)
    token = (await link_tokens(conn, vault, tenant, booking["id"]))[Purpose.VIEW]
    asks = {"Origin": "https://mail.example.com", "Access_Control_Request_Method": "GET"}
    public = [path_of(token), f"{path_of(booking['id'])}?token={token}"]
    for path in [*public, path_of(booking["id"])]:
        refused = await anybody.post(path)
        assert refused.ok(405)["code"] == "method_not_allowed"
        assert refused.headers["Allow"] == "GET, HEAD"
        preflight = await anybody.call("OPTIONS", path, **asks)
        assert preflight.status == 204
        assert ("Access-Control-Allow-Origin" in preflight.headers) == (path in public)


async def test_what_it_says_at_each_step(
    api: Api, anybody: Anybody, conn: db.Connection, vault: Vault, tenant: Tenant, soon: datetime
) -> None:
    booking = await booked(api, await offer(api, requires_confirmation=True), soon)
    assert entry_of(await by_key(api, booking))["STATUS"] == "TENTATIVE"
    (await api.post(f"/v1/bookings/{booking['id']}/confirm")).ok()
    assert entry_of(await by_key(api, booking))["STATUS"] == "CONFIRMED"
    moved = await moved_to(api, booking, soon + HOUR)
    last = await moved_to(api, moved, soon + 3 * HOUR)
    for each in (booking, moved, last):
        entry = entry_of(await by_key(api, each))
        assert (entry.start, entry["STATUS"]) == (soon + 3 * HOUR, "CONFIRMED"), "the live one, under the same UID"
        assert (entry["UID"], entry["SEQUENCE"]) == (booking["ical_uid"], last["ical_sequence"])
    old_link = (await link_tokens(conn, vault, tenant, booking["id"]))[Purpose.CANCEL]
    assert entry_of(await anybody.get(path_of(old_link))).start == soon + 3 * HOUR
    (await api.post(f"/v1/bookings/{last['id']}/cancel")).ok()
    cancelled = entry_of(await by_key(api, booking))
    assert cancelled["STATUS"] == "CANCELLED"
    assert cancelled["SEQUENCE"] > last["ical_sequence"]


async def test_an_old_link_tells_nothing_of_another_attendee(
    api: Api, anybody: Anybody, conn: db.Connection, vault: Vault, tenant: Tenant, soon: datetime
) -> None:
    """Of whose links those are: whoever the token's own booking was for."""
    booking = await booked(api, await offer(api), soon, notes="Jane's")
    janes = await link_tokens(conn, vault, tenant, booking["id"])
    moved = await moved_to(api, booking, soon + HOUR)
    await now_of(api, moved, {"email": "JANE@example.com"})
    for token in janes.values():
        assert entry_of(await anybody.get(path_of(token))).start == soon + HOUR, "the same person in capitals"
    await now_of(api, moved, {"email": "bob@new.example", "name": "Bob"})
    for token in janes.values():
        for path in [path_of(token), f"{path_of(booking['id'])}?token={token}"]:
            assert (await anybody.get(path)).ok(404)["code"] == "link_not_found"
    assert b"Bob" not in (await anybody.get(path_of(janes[Purpose.CANCEL]), **BROWSER)).raw
    last = await moved_to(api, moved, soon + 2 * HOUR)
    assert (await anybody.get(path_of(janes[Purpose.VIEW]))).ok(404)["code"] == "link_not_found"
    bobs = (await link_tokens(conn, vault, tenant, moved["id"], 1))[Purpose.VIEW]
    assert entry_of(await anybody.get(path_of(bobs))).start == soon + 2 * HOUR
    await now_of(api, last, {"email": "jane@example.com"})
    assert (await anybody.get(path_of(janes[Purpose.VIEW]))).status == 404, "somebody else came in between"
    assert entry_of(await by_key(api, booking)).start == soon + 2 * HOUR, "by key it is what it was"


async def test_a_new_attendees_links_follow_a_later_move(
    api: Api, anybody: Anybody, conn: db.Connection, vault: Vault, tenant: Tenant, soon: datetime
) -> None:
    booking = await booked(api, await offer(api), soon)
    janes = await link_tokens(conn, vault, tenant, booking["id"])
    await now_of(api, booking, {"email": "bob@new.example", "name": "Bob"})
    bobs = await link_tokens(conn, vault, tenant, booking["id"], 1)
    await moved_to(api, booking, soon + HOUR)
    for purpose in {*Purpose} - {Purpose.CONFIRM}:
        assert (await anybody.get(path_of(janes[purpose]))).ok(404)["code"] == "link_not_found"
    for token in bobs.values():
        assert entry_of(await anybody.get(path_of(token))).start == soon + HOUR
    assert entry_of(await by_key(api, booking)).start == soon + HOUR


async def now_of(api: Api, booking: Any, attendee: Any) -> None:
    (await api.call("PATCH", f"/v1/bookings/{booking['id']}", {"attendee": attendee})).ok()


async def test_a_hold_is_in_no_calendar(
    api: Api, anybody: Anybody, conn: db.Connection, vault: Vault, tenant: Tenant, soon: datetime
) -> None:
    event_type = await offer(api)
    body = booking_body(event_type["code"], soon, hold_seconds=600)
    del body["attendee"]
    hold = (await api.post("/v1/bookings", body)).ok(201)["booking"]
    tokens = await link_tokens(conn, vault, tenant, hold["id"])
    assert (await by_key(api, hold)).ok(404)["code"] == "not_found"
    assert (await anybody.get(path_of(tokens[Purpose.CANCEL]))).status == 404
    (await api.post(f"/v1/bookings/{hold['id']}/cancel")).ok()
    assert (await by_key(api, hold)).status == 404, "and it never was"


async def test_after_the_end_links_end(
    api: Api, anybody: Anybody, conn: db.Connection, vault: Vault, tenant: Tenant, soon: datetime
) -> None:
    booking = await booked(api, await offer(api), soon)
    tokens = await link_tokens(conn, vault, tenant, booking["id"])
    await let_it_be_over(conn, booking["id"])
    for token in tokens.values():
        assert (await anybody.get(path_of(token))).ok(410)["code"] == "link_expired"
    assert entry_of(await by_key(api, booking))["UID"] == booking["ical_uid"], "a key still sees it"


async def test_the_organizer_stays_who_it_was(api: Api, conn: db.Connection, tenant: Tenant, soon: datetime) -> None:
    """A calendar takes a change from another ORGANIZER for somebody else's (RFC 5546, section 2.1.4)."""
    booking = await booked(api, await offer(api), soon)
    for at, organizer in [(1, "first@mail.example"), (2, "second@mail.example"), (0, None)]:
        await conn.execute(
            """
            insert into mails (org_id, id, kind, role, recipient, booking_id, thread, happened_at, organizer,
                               created_at, next_attempt_at)
            values ($1, $2, 'booked', 'attendee', 'jane@example.com', $3, $4, $5, $6, $5, $5)
            """,
            *(tenant.org_id, new_id(), uuid_of(booking["id"]), booking["ical_uid"], soon + at * HOUR, organizer),
        )
    assert entry_of(await by_key(api, booking))["ORGANIZER"] == "mailto:first@mail.example"


async def test_it_speaks_the_organizations_language(api: Api, soon: datetime) -> None:
    (await api.call("PATCH", "/v1/organization", {"locale": "de", "sender_name": 'Acme "Büro"'})).ok()
    booking = await booked(api, await offer(api, title="Gespräch"), soon)
    entry = entry_of(await by_key(api, booking))
    assert entry["SUMMARY"] not in {"", f"Gespräch between {booking['hosts'][0]['name']} and Jane Smith"}
    assert entry["SUMMARY"].startswith("Gespräch")
    assert entry["ORGANIZER"].params["CN"] == "Acme 'Büro'"


async def test_the_sender_is_configured(
    aiohttp_client: AiohttpClient, settings: Settings, tenant: Tenant, soon: datetime
) -> None:
    mine = settings.model_copy(update={"mail_from": "calendar@acme.example"})
    theirs = Api(await aiohttp_client(build_app(mine)), tenant.api_key)
    booking = await booked(theirs, await offer(theirs), soon)
    assert entry_of(await by_key(theirs, booking))["ORGANIZER"] == "mailto:calendar@acme.example"
