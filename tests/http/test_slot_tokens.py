"""Slot tokens: a create with one books exactly what was listed, or says what else is open."""

from datetime import datetime, timedelta
from typing import Any

from app.core import db
from app.core.vault import derive
from app.domain.availability import slot_tokens
from tests.offers import ask, book, booked, iso, offer, slots_of
from tests.support import Answer, Api

HOUR = timedelta(hours=1)
JANE = {"name": "Jane", "email": "jane@example.com", "timezone": "Europe/Berlin"}


async def with_token(api: Api, token: str, **more: Any) -> Answer:
    return await api.post("/v1/bookings", {"slot_token": token, "attendee": JANE, **more})


async def test_a_token_is_all_that_a_booking_needs(api: Api, soon: datetime) -> None:
    made = await offer(api, durations=[60, 30])
    slots = slots_of(await ask(api, made, soon, 3, duration=30))
    assert len({slot["token"] for slot in slots}) == 6
    assert all(len(slot["token"]) < 1024 for slot in slots)
    booking = (await with_token(api, slots[1]["token"])).ok(201)["booking"]
    assert (booking["start_time"], booking["end_time"]) == (iso(soon + HOUR / 2), iso(soon + HOUR))
    assert booking["event_type_id"] == made["id"]


async def test_the_same_slot_again_is_a_409_with_alternatives(api: Api, soon: datetime) -> None:
    made = await offer(api)
    slot = slots_of(await ask(api, made, soon, 2))[0]
    (await with_token(api, slot["token"])).ok(201)
    problem = (await with_token(api, slot["token"])).ok(409)
    assert problem["code"] == "slot_taken"
    assert [each["start"] for each in problem["alternatives"]] == [iso(soon + n * HOUR) for n in (-2, -1, 1)]


async def test_a_token_keeps_to_the_hosts_that_were_listed(api: Api, soon: datetime) -> None:
    made = await offer(api, people=2, assignment="round_robin")
    first, second = (host["user_id"] for host in made["hosts"])
    await booked(api, made, soon, host_id=first)
    slot = slots_of(await ask(api, made, soon, 1))[0]
    assert slot["host_ids"] == [second]
    booking = (await with_token(api, slot["token"])).ok(201)["booking"]
    assert booking["assigned_to_id"] == second


async def test_a_token_of_another_configuration_is_out_of_date(api: Api, soon: datetime) -> None:
    made = await offer(api)
    slot = slots_of(await ask(api, made, soon, 1))[0]
    (await api.call("PATCH", f"/v1/event-types/{made['code']}", {"buffer_after_minutes": 5})).ok()
    problem = (await with_token(api, slot["token"])).ok(409)
    assert problem["code"] == "slot_unavailable"
    assert "out of date" in problem["detail"]
    assert len(problem["alternatives"]) == 3
    (await with_token(api, slots_of(await ask(api, made, soon, 1))[0]["token"])).ok(201)


async def test_a_token_names_its_service(api: Api, soon: datetime) -> None:
    services = [
        {"id": "wash", "name": "Wash", "duration_minutes": 15},
        {"id": "cut", "name": "Cut", "duration_minutes": 45},
    ]
    made = await offer(api, services=services)
    slot = slots_of(await ask(api, made, soon, 1, service_id="cut"))[0]
    problem = (await with_token(api, slot["token"], service_id="wash")).ok(400)
    assert problem["errors"][0]["field"] == "service_id"
    booking = (await with_token(api, slot["token"])).ok(201)["booking"]
    assert (booking["service_id"], booking["end_time"]) == ("cut", iso(soon + 0.75 * HOUR))


async def test_what_contradicts_the_token_is_refused(api: Api, soon: datetime) -> None:
    made, other = await offer(api), await offer(api)
    token = slots_of(await ask(api, made, soon, 1))[0]["token"]
    wrong = {
        "requested_time": {"requested_time": iso(soon + HOUR)},
        "slot_token": {"event_type_id": other["id"]},
        "duration": {"duration": 30},
    }
    for field, more in wrong.items():
        assert (await with_token(api, token, **more)).ok(400)["errors"][0]["field"] == field
    same = {"requested_time": iso(soon), "event_type_id": made["id"], "duration": 60}
    (await with_token(api, token, **same)).ok(201)


async def test_forged_and_foreign_tokens_are_refused(api: Api, soon: datetime) -> None:
    made = await offer(api)
    token = slots_of(await ask(api, made, soon, 1))[0]["token"]
    middle = len(token) // 2
    forged = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    for text in [forged, "", "x", token[:-4], token + "AAAA", "é" * 10, "A" * 1025]:
        assert (await with_token(api, text)).ok(400)["errors"][0]["field"] == "slot_token"


async def test_a_token_expires(api: Api, conn: db.Connection, tenant: Any, soon: datetime, monkeypatch: Any) -> None:
    """Listed by a server whose clock was three hours ago."""
    made = await offer(api)
    expiry = slot_tokens.expiry
    monkeypatch.setattr(slot_tokens, "expiry", lambda now: expiry(now - 3 * HOUR))
    token = slots_of(await ask(api, made, soon, 1))[0]["token"]
    problem = (await with_token(api, token)).ok(409)
    assert (problem["code"], len(problem["alternatives"])) == ("slot_unavailable", 3)


async def test_an_unchanged_page_keeps_its_etag(api: Api, soon: datetime) -> None:
    made = await offer(api)
    path = f"/v1/slots?event_type={made['code']}&start={soon.date()}&end={soon.date()}&timezone=UTC"
    tags = {(await api.get(path)).headers["ETag"] for _ in range(3)}
    assert len(tags) <= 2, "tokens change by the hour, not by the second"
    assert derive(b"secret", "slot-token") != derive(b"secret", "cancel")


async def test_a_token_can_hold(api: Api, soon: datetime) -> None:
    made = await offer(api)
    token = slots_of(await ask(api, made, soon, 1))[0]["token"]
    draft = (await api.post("/v1/bookings", {"slot_token": token, "hold_seconds": 30})).ok(201)["booking"]
    assert draft["status"] == "DRAFT"
    assert (await book(api, made, soon)).status == 409
