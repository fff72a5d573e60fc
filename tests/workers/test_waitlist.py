"""Waiting lists as workers tend them: who is offered what, in which order, once each; and the mail that tells of it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.ids import Kind, decode
from app.core.settings import Settings
from app.domain.bookings import offers
from tests.offers import booked, iso, listed, offer
from tests.rooms import location, room
from tests.support import Api, Tenant, eventually
from tests.visitors import Anybody
from tests.waiting import (
    HOUR,
    awaited,
    cancel,
    entry_of,
    join,
    joined,
    run_out,
    states,
    tend,
    tending,
)


@pytest.fixture
def settings(with_mail: Settings) -> Settings:
    return with_mail


async def soon_be(api: Api, expected: list[str], *entries: Any) -> None:
    async def are() -> bool:
        return await states(api, *entries) == expected

    await eventually(are)


async def counted(conn: db.Connection, tenant: Tenant, what: str) -> int:
    return int(await conn.fetchval(f"select count(*) from {what} and org_id = $1", tenant.org_id))  # noqa: S608 -- of this file


async def test_a_worker_offers_by_itself(api: Api, settings: Settings, soon: datetime) -> None:
    """Without Redis, and long before the sweep of a minute."""
    made = await awaited(api)
    taken = await booked(api, made, soon)
    line = [await joined(api, made, soon, name) for name in ("ann", "ben")]
    async with tending(settings):
        await cancel(api, taken)
        await soon_be(api, ["offered", "waiting"], *line)
        ann = await entry_of(api, line[0])
        (await api.post(f"/v1/bookings/{ann['booking_id']}/cancel")).ok()
        await soon_be(api, ["left", "offered"], *line)


async def test_as_many_offers_as_places(
    api: Api, settings: Settings, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made = await awaited(api, seats=3)
    seats = [await booked(api, made, soon) for _ in range(3)]
    line = [await joined(api, made, soon, f"w{n}") for n in range(5)]
    await cancel(api, seats[0])
    await tend(conn, settings)
    assert await states(api, *line) == ["offered", *["waiting"] * 4]
    await cancel(api, seats[1])
    await cancel(api, seats[2])
    await tend(conn, settings)
    assert await states(api, *line) == [*["offered"] * 3, *["waiting"] * 2]
    assert await counted(conn, tenant, "bookings where status = 'DRAFT'") == 3
    await run_out(conn, tenant, settings)
    assert await states(api, *line) == [*["expired"] * 3, *["offered"] * 2]
    assert await listed(api, made, soon, 1) == ["00:00"], "one seat more than whoever waits"


async def test_a_day_brings_its_first_open_slot_and_the_line_is_one(
    api: Api, settings: Settings, conn: db.Connection, soon: datetime
) -> None:
    """Whoever waits for the day came first, and so gets what the other one waits for."""
    hours = {"name": "H", "timezone": "UTC", "weekly": [{"day": "MO", "start": "09:00", "end": "12:00"}]}
    schedule = (await api.post("/v1/schedules", hours)).ok(201)["schedule"]["id"]
    made = await awaited(api, schedule_id=schedule)
    mine = [await booked(api, made, soon + hour * HOUR) for hour in (9, 10, 11)]
    day = await joined(api, made, None, "ann", date=str(soon.date()))
    start = await joined(api, made, soon + 10 * HOUR, "ben")
    other = await joined(api, made, None, "eve", date=str(soon.date()))
    await cancel(api, mine[1])
    await tend(conn, settings)
    assert await states(api, day, start, other) == ["offered", "waiting", "waiting"]
    held = (await api.get(f"/v1/bookings/{(await entry_of(api, day))['booking_id']}")).ok()["booking"]
    assert held["start_time"] == iso(soon + 10 * HOUR)
    await cancel(api, mine[2])
    await cancel(api, mine[0])
    await tend(conn, settings)
    assert await states(api, day, start, other) == ["offered", "waiting", "offered"]
    held = (await api.get(f"/v1/bookings/{(await entry_of(api, other))['booking_id']}")).ok()["booking"]
    assert held["start_time"] == iso(soon + 9 * HOUR), "the first that is open"


ENDS = ["decline", "unanswered", "hold", "move", "reschedule page", "other event type"]


@pytest.mark.parametrize("way", ENDS)
async def test_every_end_that_frees_time_leads_to_an_offer(
    api: Api, settings: Settings, conn: db.Connection, tenant: Tenant, soon: datetime, way: str
) -> None:
    """By a prompt: the sweep would come a minute later."""
    made = await awaited(api, requires_confirmation=way in {"decline", "unanswered"})
    if way == "hold":
        taken = await booked(api, made, soon, hold_seconds=60)
    elif way == "other event type":
        taken = await booked(api, await offer(api), soon)
    else:
        taken = await booked(api, made, soon)
    entry = await joined(api, made, soon)
    await tend(conn, settings)
    path = f"/v1/bookings/{taken['id']}"
    if way == "hold":
        await run_out(conn, tenant, settings)
    elif way == "move":
        (await api.post(f"{path}/reschedule", {"start_time": iso(soon + 5 * HOUR)})).ok()
    elif way == "reschedule page":
        page = f"/v1/reschedule/{taken['reschedule_token']}"
        (await Anybody(api.client).post(page, {"start_time": iso(soon + 5 * HOUR)})).ok()
    elif way == "unanswered":
        # declined by the system: the request's time has come, of a meeting that goes on
        (await api.post(f"{path}/decline", {"reason": "unanswered"})).ok()
    else:
        (await api.post(f"{path}/{'decline' if way == 'decline' else 'cancel'}")).ok()
    await tend(conn, settings)
    assert await states(api, entry) == ["offered"]


CHANGES = ["seats", "cap", "calendar", "host", "room"]


@pytest.mark.parametrize("way", CHANGES)
async def test_what_no_end_tells_of_is_found_within_a_minute(
    api: Api, settings: Settings, conn: db.Connection, tenant: Tenant, soon: datetime, way: str
) -> None:
    place = await location(api, "UTC")
    await room(api, place)
    fields: Any = {
        "seats": {"seats": 2},
        "cap": {"max_bookings": {"day": 1}},
        "calendar": {"seats": 2},
        "host": {"assignment": "round_robin"},
        "room": {"requires": [{"kind": "room"}], "people": 2, "assignment": "round_robin"},
    }
    made = await awaited(api, **fields[way])
    for _ in range(fields[way].get("seats", 1)):
        await booked(api, made, soon)
    start = soon + HOUR if way == "cap" else soon
    entry = await joined(api, made, start)
    await tend(conn, settings)
    path = f"/v1/event-types/{made['code']}"
    patch: Any = {
        "seats": {"seats": 3},
        "cap": {"max_bookings": {"day": 2}},
        "calendar": {"seats": 3},
        "host": {"hosts": [made["hosts"][0], {"user_id": (await api.person())["id"]}]},
        "room": None,
    }
    if way == "room":
        await room(api, place)
    else:
        (await api.call("PATCH", path, patch[way])).ok()
    await tend(conn, settings)
    assert await states(api, entry) == ["waiting"], "nobody was told"
    await tend(conn, settings, datetime.now(UTC) + timedelta(seconds=61))
    assert await states(api, entry) == ["offered"]


async def test_an_offer_ends_with_its_slot(api: Api, settings: Settings, conn: db.Connection) -> None:
    """What begins in less than the time of an offer is held until it begins, and not offered once it has."""
    now = datetime.now(UTC)
    start = now.replace(minute=0, second=0, microsecond=0) + 2 * HOUR
    made = await awaited(api)
    taken = await booked(api, made, start)
    entry = await joined(api, made, start)
    await cancel(api, taken)
    late = start - timedelta(minutes=10)
    await tend(conn, settings, late)
    shown = await entry_of(api, entry)
    assert (shown["status"], shown["offer_expires_at"]) == ("offered", iso(start))


async def test_what_has_passed_is_waited_for_no_more(
    api: Api, settings: Settings, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made = await awaited(api, max_bookings={"day": 1})
    await booked(api, made, soon)
    start, day = await joined(api, made, soon + HOUR), await joined(api, made, None, date=str(soon.date()))
    await tend(conn, settings, soon + HOUR)
    assert await states(api, start, day) == ["expired", "waiting"]
    await tend(conn, settings, soon + 24 * HOUR)
    assert await states(api, start, day) == ["expired", "expired"]
    assert (await entry_of(api, day))["ended_at"] == iso(soon + 24 * HOUR)
    assert await counted(conn, tenant, "waitlists where next_check_at is not null") == 0


async def test_an_archived_event_type_ends_its_list(
    api: Api, settings: Settings, conn: db.Connection, soon: datetime
) -> None:
    made = await awaited(api)
    taken = await booked(api, made, soon)
    entry = await joined(api, made, soon)
    assert (await api.call("DELETE", f"/v1/event-types/{made['code']}")).status == 204
    await cancel(api, taken)
    await tend(conn, settings)
    assert await states(api, entry) == ["expired"]


async def test_answers_choose_the_host_who_is_waited_for(
    api: Api, settings: Settings, conn: db.Connection, soon: datetime
) -> None:
    """Whoever is first in line cannot be helped by this host; the second one can, and neither can nobody's answers."""
    people = [(await api.person())["id"] for _ in range(2)]
    rules = [
        {"question_id": "q", "operator": "equals", "value": value, "action": "assign", "host_ids": [who]}
        for value, who in zip("ab", people, strict=True)
    ]
    made = await awaited(
        api,
        assignment="round_robin",
        hosts=[{"user_id": each} for each in people],
        questions=[{"id": "q", "label": "Q", "type": "text"}],
        routing_rules=rules,
    )
    answers: list[Any] = [{"answers": [{"question_id": "q", "answer": value}]} for value in "ab"]
    taken = [await booked(api, made, soon, **each) for each in answers]
    first, second = [await joined(api, made, soon, f"w{n}", **each) for n, each in enumerate(answers)]
    await cancel(api, taken[1])
    await tend(conn, settings)
    assert await states(api, first, second) == ["waiting", "offered"]
    held = (await api.get(f"/v1/bookings/{(await entry_of(api, second))['booking_id']}")).ok()["booking"]
    assert held["assigned_to_id"] == people[1]
    await cancel(api, taken[0])
    await tend(conn, settings)
    assert await states(api, first, second) == ["offered", "offered"]


async def test_what_is_not_on_offer_any_more_keeps_nobody_else_waiting(
    api: Api, settings: Settings, conn: db.Connection, soon: datetime
) -> None:
    made = await awaited(api, durations=[60, 30])
    taken = await booked(api, made, soon)
    short, usual = await joined(api, made, soon, "ann", duration=30), await joined(api, made, soon, "ben")
    (await api.call("PATCH", f"/v1/event-types/{made['code']}", {"durations": [60]})).ok()
    await cancel(api, taken)
    await tend(conn, settings)
    assert await states(api, short, usual) == ["waiting", "offered"]


async def test_a_fault_in_one_list_keeps_no_other(
    api: Api, settings: Settings, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    broken, whole = await awaited(api), await awaited(api)
    taken = [await booked(api, broken, soon), await booked(api, whole, soon + HOUR)]
    entries = [await joined(api, broken, soon), await joined(api, whole, soon + HOUR)]
    event_type = decode(Kind.EVENT_TYPE, broken["id"])
    await conn.execute("""update event_types set routing_rules = '[{"x": 1}]' where id = $1""", event_type)
    for each in taken:
        await cancel(api, each)
    await tend(conn, settings)
    assert await states(api, *entries) == ["waiting", "offered"]
    await conn.execute("update event_types set routing_rules = '[]' where id = $1", event_type)
    await tend(conn, settings, datetime.now(UTC) + timedelta(seconds=61))
    assert await states(api, *entries) == ["offered", "offered"]


async def test_the_worker_goes_on_after_a_fault(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, api: Api, soon: datetime
) -> None:
    looks: list[int] = []

    async def stumble(_conn: db.Connection, _now: datetime) -> int:
        looks.append(1)
        raise KeyError if len(looks) % 2 else TimeoutError

    monkeypatch.setattr("workers.waitlist.take_vacancies", stumble)
    monkeypatch.setattr("workers.waitlist.SWEEP_SECONDS", 0.01)
    async with tending(settings):

        async def again() -> bool:
            return len(looks) > 3

        await eventually(again)


async def test_whoever_leaves_while_it_is_offered_gets_no_offer(
    api: Api, settings: Settings, conn: db.Connection, tenant: Tenant, soon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the line and the claim."""
    made = await awaited(api)
    taken = await booked(api, made, soon)
    ann, ben = await joined(api, made, soon, "ann"), await joined(api, made, soon, "ben")
    await cancel(api, taken)
    really = vars(offers)["_offer"]
    left: list[int] = []

    async def leave_first(conn: db.Connection, held: Any, entry: Any, *about: Any) -> Any:
        if not left:
            left.append((await api.call("DELETE", f"/v1/waitlist/{ann['id']}")).status)
        return await really(conn, held, entry, *about)

    monkeypatch.setattr(offers, "_offer", leave_first)
    await tend(conn, settings)
    assert left == [204]
    assert await states(api, ann, ben) == ["left", "offered"]
    assert await counted(conn, tenant, "bookings where status = 'DRAFT'") == 1


async def test_a_stranger_who_is_quicker(
    api: Api, settings: Settings, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """The place is theirs, and whoever waits goes on waiting."""
    made = await awaited(api)
    taken = await booked(api, made, soon)
    entry = await joined(api, made, soon)
    await cancel(api, taken)
    await booked(api, made, soon)
    await tend(conn, settings)
    assert await states(api, entry) == ["waiting"]
    assert await counted(conn, tenant, "bookings where status = 'DRAFT'") == 0


async def test_several_workers_make_each_offer_once(
    api: Api, settings: Settings, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made = [await awaited(api, seats=3) for _ in range(3)]
    for number, each in enumerate(made):
        for _ in range(3):
            await booked(api, each, soon + number * HOUR)
    lines = [
        [await joined(api, each, soon + number * HOUR, f"w{n}") for n in range(4)] for number, each in enumerate(made)
    ]
    async with tending(settings, workers=4) as workers:
        bookings = (await api.get("/v1/bookings")).ok()["bookings"]
        await asyncio.gather(*(cancel(api, each) for each in bookings))
        for each in workers:
            each.wake()
        for line in lines:
            await soon_be(api, ["offered"] * 3 + ["waiting"], *line)
    assert await counted(conn, tenant, "bookings where status = 'DRAFT'") == 9
    assert await counted(conn, tenant, "events where type = 'waitlist.offered'") == 9
    assert (await join(api, made[0], soon)).status == 201
