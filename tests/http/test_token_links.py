"""Links in mails: confirm and decline for the host, cancel and move for the attendee; and who fetches them first."""

import asyncio
import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.vault import Vault
from tests.offers import ask, iso, listed, offer, slots_of
from tests.support import Answer, Api, Tenant, make_tenant
from tests.visitors import (
    BROWSER,
    PROGRAM,
    Anybody,
    address,
    confirm_token,
    events,
    let_it_be_over,
    status_of,
    visit_body,
)

HOUR = timedelta(hours=1)


@pytest.fixture
def anybody(api: Api) -> Anybody:
    return Anybody(api.client)


async def visited(api: Api, anybody: Anybody, start: datetime, **fields: Any) -> Any:
    return (await anybody.post(address(await offer(api, **fields)), visit_body(start))).ok(201)


@pytest.fixture
async def pending(api: Api, anybody: Anybody, soon: datetime, conn: db.Connection, vault: Vault, tenant: Tenant) -> Any:
    """A booking that waits for its host, with the host's token."""
    booking = await visited(api, anybody, soon, requires_confirmation=True)
    return {**booking, "confirm_token": await confirm_token(conn, vault, tenant, booking["id"])}


def is_page(answer: Answer, status: int = 200) -> str:
    assert (answer.status, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8"), answer.raw
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in answer.headers["X-Robots-Tag"]
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    text = answer.raw.decode()
    assert not re.search(r"<script|https?://|\bsrc=|<link|@import|url\(", text)
    return text


@pytest.mark.parametrize(("action", "status"), [("confirm", "confirmed"), ("decline", "cancelled")])
async def test_a_program_decides_by_a_get(
    anybody: Anybody, pending: Any, action: str, status: str, conn: db.Connection, tenant: Tenant, api: Api
) -> None:
    path = f"/v1/bookings/{pending['confirm_token']}/{action}"
    first = await anybody.get(path, **PROGRAM)
    assert (first.ok()["id"], first.json["status"]) == (pending["id"], status)
    assert (first.json["cancel_token"], first.json["reschedule_token"]) == (None, None), "they are the attendee's"
    assert first.headers["Cache-Control"] == "no-store"
    for _ in range(2):
        assert (await anybody.get(path, **PROGRAM)).ok() == first.json, "a repeat shows what is"
    assert await events(conn, tenant) == ["created", {"confirm": "confirmed", "decline": "declined"}[action]]
    history = (await api.get(f"/v1/bookings/{pending['id']}")).ok()["booking"]["history"]
    assert history[-1]["by"] == "host"
    opposite = {"confirm": "decline", "decline": "confirm"}[action]
    refused = await anybody.get(f"/v1/bookings/{pending['confirm_token']}/{opposite}", **PROGRAM)
    assert refused.ok(409)["code"] == "invalid_transition"


async def test_a_mail_scanner_changes_nothing_and_the_person_comes_after(
    anybody: Anybody, pending: Any, api: Api, conn: db.Connection, tenant: Tenant
) -> None:
    paths = [f"/v1/bookings/{pending['confirm_token']}/{action}" for action in ("decline", "confirm")]
    paths.append(f"/v1/cancel/{pending['cancel_token']}")
    looks: list[dict[str, str]] = [{}, BROWSER, {"Accept": "*/*"}, {"Accept": "application/json;q=0, */*"}]
    for path in paths:
        for accept in looks * 3:
            assert (await anybody.get(path, **accept)).status == 200
        for accept in [*looks, PROGRAM]:
            head = await anybody.call("HEAD", path, **accept)
            assert (head.status, head.raw) == (200, b"")
        await anybody.call("OPTIONS", path)
    assert await status_of(api, pending["id"]) == "PENDING_CONFIRMATION"
    assert await events(conn, tenant) == ["created"]
    text = is_page(await anybody.get(paths[1], **BROWSER))
    form = re.search(r'<form method="post" action="([^"]+)">', text)
    assert form is not None
    assert form[1] == paths[1]
    done = is_page(await anybody.press(form[1]))
    assert "confirmed" in done
    assert "<form" not in done
    assert await status_of(api, pending["id"]) == "SCHEDULED"
    again = is_page(await anybody.get(paths[1], **BROWSER))
    assert "<form" not in again, "there is nothing left to press"
    assert "cannot be changed" in is_page(await anybody.press(paths[0]), 409)


async def test_the_hosts_page_is_in_the_hosts_time(
    api: Api, anybody: Anybody, conn: db.Connection, vault: Vault, soon: datetime
) -> None:
    there = await make_tenant(conn, vault, zone="Asia/Kolkata")
    theirs = Api(api.client, there.api_key)
    fields: Any = {"title": "<b>Talk</b> & more", "requires_confirmation": True}
    booking = (
        await anybody.post(address(await offer(theirs, **fields)), visit_body(soon, attendee_name="<i>Eve</i>"))
    ).ok(201)
    token = await confirm_token(conn, vault, there, booking["id"])
    text = is_page(await anybody.get(f"/v1/bookings/{token}/confirm", **BROWSER))
    assert "05:30 to 06:30 (Asia/Kolkata, UTC+05:30)" in text
    assert "&lt;b&gt;Talk&lt;/b&gt; &amp; more" in text
    assert "<i>" not in text
    text = is_page(await anybody.get(f"/v1/cancel/{booking['cancel_token']}", **BROWSER))
    assert "(America/Chicago, UTC-0" in text


async def test_posting_a_confirm_link_takes_json_or_a_form(
    api: Api, anybody: Anybody, pending: Any, conn: db.Connection
) -> None:
    path = f"/v1/bookings/{pending['confirm_token']}/decline"
    assert (await anybody.post(path, b"x=1", Content_Type="text/plain")).status == 415
    assert (await anybody.post(path, {"reason": 7})).ok(400)["errors"][0]["field"] == "reason"
    assert (await anybody.post(path, {"reason": "Full"})).ok()["status"] == "cancelled"
    assert (await anybody.post(path, b"a=b", Content_Type="application/x-www-form-urlencoded")).ok()["id"] == pending[
        "id"
    ]
    booking = (await api.get(f"/v1/bookings/{pending['id']}")).ok()["booking"]
    assert booking["cancellation"]["reason"] == "Full"


async def test_ids_are_no_tokens(api: Api, anybody: Anybody, pending: Any) -> None:
    path = f"/v1/bookings/{pending['id']}/confirm"
    for headers in [PROGRAM, BROWSER, {}]:
        answer = await anybody.get(path, **headers)
        assert answer.ok(405)["code"] == "method_not_allowed"
        assert answer.headers["Allow"] == "POST"
    assert (await anybody.post(path)).ok(401)["code"] == "unauthorized"
    assert await status_of(api, pending["id"]) == "PENDING_CONFIRMATION"
    assert (await api.post(path)).ok()["booking"]["status"] == "SCHEDULED"


async def test_confirm_and_decline_at_once(anybody: Anybody, pending: Any, conn: db.Connection, tenant: Tenant) -> None:
    paths = [f"/v1/bookings/{pending['confirm_token']}/{action}" for action in ("confirm", "decline")] * 10
    answers = await asyncio.gather(*(anybody.post(path) for path in paths))
    decided = {answer.json["status"] for answer in answers if answer.status == 200}
    assert len(decided) == 1
    assert sorted(answer.status for answer in answers) == [200] * 10 + [409] * 10
    assert len(await events(conn, tenant)) == 2


async def test_an_attendee_cancels(
    api: Api, anybody: Anybody, soon: datetime, conn: db.Connection, tenant: Tenant
) -> None:
    event_type = await offer(api)
    booking = (await anybody.post(address(event_type), visit_body(soon))).ok(201)
    path = f"/v1/cancel/{booking['cancel_token']}"
    shown = (await anybody.get(path)).ok()
    assert (shown["status"], shown["title"], shown["slug"]) == ("confirmed", "Call", event_type["slug"])
    first = await anybody.post(f"{path}/confirm", {"reason": "Ill"})
    assert first.ok()["status"] == "cancelled"
    assert (await anybody.post(f"{path}/confirm")).ok() == first.json
    assert (await anybody.get(path)).ok()["status"] == "cancelled"
    assert await events(conn, tenant) == ["created", "cancelled"]
    booking = (await api.get(f"/v1/bookings/{booking['id']}")).ok()["booking"]
    assert (booking["cancellation"]["by"], booking["cancellation"]["reason"]) == ("attendee", "Ill")
    assert await listed(api, event_type, soon, 1) == ["00:00"], "its time is free again"


async def test_an_attendee_cancels_in_a_browser(api: Api, anybody: Anybody, soon: datetime) -> None:
    booking = await visited(api, anybody, soon)
    path = f"/v1/cancel/{booking['cancel_token']}"
    text = is_page(await anybody.get(path, **BROWSER))
    assert f'action="{path}/confirm"' in text
    assert "This booking is cancelled" in is_page(await anybody.press(f"{path}/confirm"))
    assert "<form" not in is_page(await anybody.get(path, **BROWSER))
    assert "This booking is cancelled" in is_page(await anybody.press(f"{path}/confirm")), "twice is once"


async def test_an_attendee_moves(
    api: Api, anybody: Anybody, soon: datetime, conn: db.Connection, tenant: Tenant
) -> None:
    event_type = await offer(api)
    old = (await anybody.post(address(event_type), visit_body(soon))).ok(201)
    path = f"/v1/reschedule/{old['reschedule_token']}"
    assert (await anybody.get(path)).ok()["id"] == old["id"]
    body = {"start_time": iso(soon + 2 * HOUR), "reason": "Later"}
    answer = await anybody.post(path, body, Idempotency_Key="k")
    new = answer.ok()
    assert (new["status"], new["start_time"], new["rescheduled_from_id"]) == (
        "confirmed",
        body["start_time"],
        old["id"],
    )
    assert new["timezone"] == "America/Chicago"
    assert new["reschedule_token"] not in {None, old["reschedule_token"]}
    again = await anybody.post(path, body, Idempotency_Key="k")
    assert again.raw == b'{"idempotent_replay":true,' + answer.raw[1:]
    shown = (await anybody.get(path)).ok()
    assert (shown["status"], shown["rescheduled_to_id"]) == ("cancelled", new["id"])
    assert "was moved" in is_page(await anybody.get(f"/v1/cancel/{old['cancel_token']}", **BROWSER))
    assert (await anybody.post(path, body)).ok(409)["code"] == "invalid_transition"
    token = slots_of(await ask(api, event_type, soon + 4 * HOUR, 1))[0]["token"]
    moved = await anybody.post(f"/v1/reschedule/{new['reschedule_token']}", {"slot_token": token, "timezone": "UTC"})
    assert (moved.ok()["start_time"], moved.json["timezone"]) == (iso(soon + 4 * HOUR), "UTC")
    assert await events(conn, tenant) == ["created", "rescheduled", "rescheduled"]


async def test_what_needs_confirming_needs_it_again(anybody: Anybody, pending: Any, soon: datetime) -> None:
    path = f"/v1/bookings/{pending['confirm_token']}/confirm"
    assert (await anybody.post(path)).ok()["status"] == "confirmed"
    body = {"start_time": iso(soon + HOUR)}
    moved = await anybody.post(f"/v1/reschedule/{pending['reschedule_token']}", body)
    assert (moved.ok()["status"], moved.json["requires_confirmation"]) == ("pending", True)
    assert (await anybody.post(path)).ok(409)["code"] == "invalid_transition", "this one was moved away"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "start_time"),
        ({"start_time": None}, "start_time"),
        ({"start_time": "2030-01-01T10:00:00"}, "start_time"),
        ({"start_time": "2030-01-01T10:00:00Z", "timezone": "Mars"}, "timezone"),
        ({"start_time": "2030-01-01T10:00:00Z", "reason": 7}, "reason"),
        ({"slot_token": "x"}, "slot_token"),
        ({"start_time": "2030-01-01T10:00:00Z", "duration": 30}, "duration"),
    ],
)
async def test_a_wrong_move_names_its_field(api: Api, anybody: Anybody, soon: datetime, body: Any, field: str) -> None:
    booking = await visited(api, anybody, soon)
    answer = (await anybody.post(f"/v1/reschedule/{booking['reschedule_token']}", body)).ok(400)
    assert [each["field"] for each in answer["errors"]] == [field]
    assert await status_of(api, booking["id"]) == "SCHEDULED"


async def test_a_slot_token_moves_only_what_it_fits(api: Api, anybody: Anybody, soon: datetime) -> None:
    event_type, other = await offer(api, durations=[60, 30]), await offer(api)
    booking = (await anybody.post(address(event_type), visit_body(soon))).ok(201)
    path = f"/v1/reschedule/{booking['reschedule_token']}"
    theirs = slots_of(await ask(api, other, soon + HOUR, 1))[0]["token"]
    short = slots_of(await ask(api, event_type, soon + HOUR, 1, duration=30))[0]["token"]
    mine = slots_of(await ask(api, event_type, soon + HOUR, 1))[0]["token"]
    for body, field in [
        ({"slot_token": theirs}, "slot_token"),
        ({"slot_token": short}, "slot_token"),
        ({"slot_token": mine, "start_time": iso(soon)}, "start_time"),
    ]:
        answer = (await anybody.post(path, body)).ok(400)
        assert [each["field"] for each in answer["errors"]] == [field]
    assert (await anybody.post(path, {"slot_token": mine, "start_time": iso(soon + HOUR)})).status == 200


async def test_a_slot_that_cannot_be_had_loses_nothing(api: Api, anybody: Anybody, soon: datetime) -> None:
    event_type = await offer(api)
    booking = (await anybody.post(address(event_type), visit_body(soon))).ok(201)
    await api.book(event_type["code"], soon + HOUR)
    path = f"/v1/reschedule/{booking['reschedule_token']}"
    assert (await anybody.post(path, {"start_time": iso(soon + HOUR)})).ok(409)["code"] == "slot_taken"
    assert (await anybody.get(path)).ok()["status"] == "confirmed"


async def test_a_token_serves_one_purpose_of_one_booking(
    api: Api, anybody: Anybody, pending: Any, conn: db.Connection, vault: Vault, soon: datetime
) -> None:
    other = await make_tenant(conn, vault)
    forged = await confirm_token(conn, vault, other, pending["id"])
    cancel, move, confirm = pending["cancel_token"], pending["reschedule_token"], pending["confirm_token"]
    wrong = [f"/v1/cancel/{each}" for each in (move, confirm, confirm[4:], pending["id"])]
    wrong += [f"/v1/reschedule/{each}" for each in (cancel, confirm, confirm[4:])]
    wrong += [f"/v1/bookings/{each}/confirm" for each in (f"cft_{cancel}", f"cft_{move}", cancel, forged, "cft_", "x")]
    for path in wrong:
        for answer in [await anybody.get(path), await anybody.get(path, **PROGRAM)]:
            assert answer.status == 404, path
        assert (await anybody.get(path, **PROGRAM)).json["code"] == "link_not_found"
        if "reschedule" not in path:
            assert "does not work" in is_page(await anybody.get(path, **BROWSER), 404)
    body = {"start_time": iso(soon + HOUR)}
    assert (await anybody.post(f"/v1/reschedule/{cancel}", body)).status == 404
    assert (await anybody.post(f"/v1/cancel/{move}/confirm")).status == 404
    assert (await anybody.post(f"/v1/bookings/{forged}/confirm")).status == 404
    assert await status_of(api, pending["id"]) == "PENDING_CONFIRMATION"


async def test_garbled_tokens_are_unknown_ones(anybody: Anybody, pending: Any) -> None:
    for token, path in [
        (pending["cancel_token"], "/v1/cancel/{}"),
        (pending["reschedule_token"], "/v1/reschedule/{}"),
        (pending["confirm_token"], "/v1/bookings/{}/confirm"),
    ]:
        cut = [token[:length] for length in range(0, len(token), 7)][1:]
        bent = [token[:n] + ("A" if token[n] != "A" else "B") + token[n + 1 :] for n in range(4, len(token) - 1, 9)]
        odd = [token + "A", token + "=", token.replace("_", "/"), "cft_%00", "%F0%9F%98%80", "x" * 2000, "%ff"]
        for each in [*cut, *bent, *odd]:
            if each == token:
                continue
            answer = await anybody.get(path.format(each), **PROGRAM)
            assert answer.status == 404, (path, each, answer.raw)


async def test_after_the_end_links_show_nothing(
    anybody: Anybody, pending: Any, conn: db.Connection, soon: datetime
) -> None:
    (await anybody.post(f"/v1/cancel/{pending['cancel_token']}/confirm")).ok()
    assert (await anybody.get(f"/v1/cancel/{pending['cancel_token']}")).ok()["status"] == "cancelled"
    await let_it_be_over(conn, pending["id"])
    gets = [
        f"/v1/cancel/{pending['cancel_token']}",
        f"/v1/reschedule/{pending['reschedule_token']}",
        f"/v1/bookings/{pending['confirm_token']}/confirm",
        f"/v1/bookings/{pending['confirm_token']}/decline",
    ]
    for path in gets:
        assert (await anybody.get(path, **PROGRAM)).ok(410)["code"] == "link_expired"
    assert "has ended" in is_page(await anybody.get(gets[0], **BROWSER), 410)
    for path in [f"{gets[0]}/confirm", *gets[2:]]:
        assert (await anybody.post(path)).ok(410)["code"] == "link_expired"
    assert (await anybody.post(gets[1], {"start_time": iso(soon + HOUR)})).ok(410)["code"] == "link_expired"


async def test_a_fresh_confirmation_ends_the_old_links(api: Api, anybody: Anybody, soon: datetime) -> None:
    booking = await visited(api, anybody, soon)
    (await api.call("PATCH", f"/v1/bookings/{booking['id']}", {"attendee": {"email": "new@example.com"}})).ok()
    assert (await anybody.get(f"/v1/cancel/{booking['cancel_token']}")).ok(404)["code"] == "link_not_found"


async def test_the_answers_of_links_are_kept_by_nobody(anybody: Anybody, pending: Any) -> None:
    paths = [f"/v1/cancel/{pending['cancel_token']}", f"/v1/reschedule/{pending['reschedule_token']}", "/v1/cancel/x"]
    for path in paths:
        answer = await anybody.get(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "noindex" in answer.headers["X-Robots-Tag"]
