"""Whose turn it is: one offer at a time for each person, long lines in pieces, lists that are switched off, and rooms
that are free again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.ids import Kind, decode
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.bookings.offers import take_vacancies, tend_list
from tests.browsers import Browser
from tests.offers import booked
from tests.rooms import location, room
from tests.support import Api, Tenant, eventually
from tests.waiting import (
    HOUR,
    OFFER_TIME,
    awaited,
    cancel,
    crowd,
    entry_of,
    joined,
    run_out,
    states,
    tend,
    tending,
)

A_MINUTE = timedelta(seconds=61)


@pytest.fixture
def settings(with_mail: Settings) -> Settings:
    return with_mail


async def drafts(conn: db.Connection, tenant: Tenant) -> int:
    return int(
        await conn.fetchval("select count(*) from bookings where org_id = $1 and status = 'DRAFT'", tenant.org_id)
    )


async def two_places(api: Api, soon: datetime) -> tuple[Any, list[Any], list[Any]]:
    """An event type, two bookings, and a line for each: Ann first in both, then Ben and Eve."""
    made = await awaited(api)
    starts = [soon, soon + HOUR]
    taken = [await booked(api, made, start) for start in starts]
    anns = [await joined(api, made, start, "ann") for start in starts]
    others = [await joined(api, made, start, name) for start, name in zip(starts, ("ben", "eve"), strict=True)]
    return made, taken, [*anns, *others]


async def test_nobody_has_two_offers_at_once(api: Api, settings: Settings, conn: db.Connection, soon: datetime) -> None:
    """What is freed beside it is the next one's."""
    _, taken, line = await two_places(api, soon)
    for each in taken:
        await cancel(api, each)
    await tend(conn, settings)
    assert await states(api, *line) == ["offered", "waiting", "waiting", "offered"]
    await tend(conn, settings, datetime.now(UTC) + A_MINUTE)
    assert await states(api, *line) == ["offered", "waiting", "waiting", "offered"]


async def test_one_address_however_it_is_written_is_one_person(
    api: Api, settings: Settings, conn: db.Connection, soon: datetime
) -> None:
    made = await awaited(api, seats=2)
    taken = [await booked(api, made, start) for start in (soon, soon + HOUR) for _ in range(2)]
    who = [{"name": "A", "email": email, "timezone": "UTC"} for email in ("ann@example.com", "ANN@Example.com")]
    line = [await joined(api, made, soon + n * HOUR, attendee=each) for n, each in enumerate(who)]
    for each in taken:
        await cancel(api, each)
    await tend(conn, settings)
    assert await states(api, *line) == ["offered", "waiting"]


@pytest.mark.parametrize("way", ["leaves", "runs out", "takes it"])
async def test_the_other_place_has_its_turn_when_an_offer_has_ended(
    api: Api, settings: Settings, conn: db.Connection, tenant: Tenant, soon: datetime, way: str
) -> None:
    """At once where something is freed by it, with the next look where not."""
    _, taken, (first, second, ben, eve) = await two_places(api, soon)
    assert (await api.call("DELETE", f"/v1/waitlist/{eve['id']}")).status == 204
    for each in taken:
        await cancel(api, each)
    await tend(conn, settings)
    assert await states(api, first, second, ben) == ["offered", "waiting", "waiting"]
    offered = await entry_of(api, first)
    if way == "leaves":
        assert (await api.call("DELETE", f"/v1/waitlist/{first['id']}")).status == 204
        await tend(conn, settings)
    elif way == "runs out":
        await run_out(conn, tenant, settings)
    else:
        (await api.post(f"/v1/bookings/{offered['booking_id']}/finish")).ok()
        await tend(conn, settings, datetime.now(UTC) + A_MINUTE)
    expected = {"leaves": ["left", "offered", "offered"], "runs out": ["expired", "offered", "offered"]}
    assert await states(api, first, second, ben) == expected.get(way, ["booked", "offered", "waiting"])


async def test_offers_of_two_event_types_do_not_count_together(
    api: Api, settings: Settings, conn: db.Connection, soon: datetime
) -> None:
    lists = [await awaited(api), await awaited(api)]
    taken = [await booked(api, made, soon + n * HOUR) for n, made in enumerate(lists)]
    entries = [await joined(api, made, soon + n * HOUR, "ann") for n, made in enumerate(lists)]
    for each in taken:
        await cancel(api, each)
    await tend(conn, settings)
    assert await states(api, *entries) == ["offered", "offered"]


async def test_a_list_that_is_off_makes_no_offers(
    api: Api, settings: Settings, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made, start = await awaited(api), datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + 3 * HOUR
    path = f"/v1/event-types/{made['code']}"
    taken = [await booked(api, made, each) for each in (soon, start)]
    stays, ends = await joined(api, made, soon), await joined(api, made, start, "ben")
    (await api.call("PATCH", path, {"waitlist": False})).ok()
    for each in taken:
        await cancel(api, each)
    await tend(conn, settings)
    await tend(conn, settings, datetime.now(UTC) + A_MINUTE)
    assert await states(api, stays, ends) == ["waiting", "waiting"]
    await tend(conn, settings, start)
    assert await states(api, stays, ends) == ["waiting", "expired"]
    (await api.call("PATCH", path, {"waitlist": True})).ok()
    await tend(conn, settings, start + A_MINUTE)
    assert await states(api, stays, ends) == ["offered", "expired"]
    assert await drafts(conn, tenant) == 1


async def test_a_list_that_is_off_keeps_its_offers_and_ends_with_its_event_type(
    api: Api, settings: Settings, conn: db.Connection, soon: datetime
) -> None:
    made, taken, (first, second, ben, eve) = await two_places(api, soon)
    await cancel(api, taken[0])
    await tend(conn, settings)
    (await api.call("PATCH", f"/v1/event-types/{made['code']}", {"waitlist": False})).ok()
    (await api.post(f"/v1/bookings/{(await entry_of(api, first))['booking_id']}/finish")).ok()
    await cancel(api, taken[1])
    await tend(conn, settings)
    assert await states(api, first, second, ben, eve) == ["booked", "waiting", "waiting", "waiting"]
    assert (await api.call("DELETE", f"/v1/event-types/{made['code']}")).status == 204
    await tend(conn, settings, datetime.now(UTC) + A_MINUTE)
    assert await states(api, first, second, ben, eve) == ["booked", "expired", "expired", "expired"]


async def choosing(api: Api, soon: datetime) -> tuple[Any, list[Any]]:
    """An event type with two hosts, of whom the answers choose one; both are taken."""
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
    return made, [await booked(api, made, soon, answers=answered(value)) for value in "ab"]


def answered(value: str) -> Any:
    return [{"question_id": "q", "answer": value}]


async def test_a_long_line_is_walked_in_pieces(
    api: Api, settings: Settings, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """Nobody in it can be helped but the last; and one look does not hold the list for all of it."""
    made, taken = await choosing(api, soon)
    await crowd(conn, tenant, made, soon, 450, "a")
    last = await joined(api, made, soon, "zoe", answers=answered("b"))
    await cancel(api, taken[1])
    now, vault, looks = datetime.now(UTC), Vault(settings.secret_keys), 0
    await db.run(conn, lambda conn: take_vacancies(conn, now))

    async def look(conn: db.Connection) -> bool:
        return await tend_list(conn, vault, OFFER_TIME, now)

    while await states(api, last) == ["waiting"]:
        looks += 1
        assert await db.run(conn, look), "the rest is due at once"
    assert looks == 3
    await tend(conn, settings, now)
    list_id = (tenant.org_id, decode(Kind.EVENT_TYPE, made["id"]))
    row = await conn.fetchrow("select * from waitlists where org_id = $1 and event_type_id = $2", *list_id)
    assert row is not None
    assert (row["tried_until"], row["tried_id"]) == (None, None), "the next look begins with the first"
    assert row["next_check_at"] == now + timedelta(seconds=60), "and comes when it always does"


async def test_what_is_freed_behind_a_look_is_the_first_ones(
    api: Api, settings: Settings, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """Whoever was passed over a moment ago, in a line that is not through, stands before the rest of it."""
    made, taken = await choosing(api, soon)
    first = await joined(api, made, soon, "ann", answers=answered("a"))
    await crowd(conn, tenant, made, soon, 450, "a")
    await cancel(api, taken[1])
    now, vault = datetime.now(UTC), Vault(settings.secret_keys)
    await db.run(conn, lambda conn: take_vacancies(conn, now))
    assert await db.run(conn, lambda conn: tend_list(conn, vault, OFFER_TIME, now))
    await cancel(api, taken[0])
    await tend(conn, settings)
    assert await states(api, first) == ["offered"]
    assert await drafts(conn, tenant) == 1


async def test_a_long_line_gets_as_many_offers_as_there_are_places(
    api: Api, settings: Settings, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made = await awaited(api, seats=5)
    taken = [await booked(api, made, soon) for _ in range(5)]
    early = [await joined(api, made, soon, f"w{n}") for n in range(3)]
    await crowd(conn, tenant, made, soon, 300)
    for each in taken:
        await cancel(api, each)
    await tend(conn, settings)
    assert await states(api, *early) == ["offered"] * 3
    count = "select count(*) from waitlist_entries where org_id = $1 and status = 'offered'"
    assert await conn.fetchval(count, tenant.org_id) == 5


ROOMS = ["reservation", "event type", "moved reservation", "other kind"]


@pytest.mark.parametrize("way", ROOMS)
async def test_a_room_that_is_free_again_leads_to_an_offer(
    api: Api, owner: Browser, settings: Settings, conn: db.Connection, soon: datetime, way: str
) -> None:
    """By a prompt: the sweep would come a minute later. Whoever held it has no host in common with whoever waits."""
    place = await location(api, "UTC")
    hall, desk = await room(api, place), await room(api, place, kind="desk", name="Desk")
    made = await awaited(api, requires=[{"kind": "room"}])
    freed, others = desk if way == "other kind" else hall, await api.person()
    path = None
    if way == "event type":
        using = await awaited(api, requires=[{"kind": "room"}], hosts=[{"user_id": others["id"]}])
        path = f"/api/bookings/{(await booked(api, using, soon))['id']}"
    else:
        path = f"/api/bookings/{await reserved(owner, freed, soon)}"
    if way == "other kind":
        await reserved(owner, hall, soon)
    entry = await joined(api, made, soon)
    await tend(conn, settings)
    if way == "moved reservation":
        moved = {"booking": {"start_time": (soon + 9 * HOUR).isoformat()}}
        (await owner.post(f"{path}/reschedule", moved)).ok()
    else:
        (await owner.delete(path)).ok()
    await tend(conn, settings)
    assert await states(api, entry) == ["waiting" if way == "other kind" else "offered"]
    assert await conn.fetchval("select count(*) from outbox where topic = 'vacancy'") == 0


async def reserved(owner: Browser, resource: Any, start: datetime) -> str:
    times = {"starts_at": start.isoformat(), "ends_at": (start + HOUR).isoformat()}
    made = (await owner.post("/api/bookings", {"booking": {"bookable_id": resource["id"], **times}})).ok(201)
    return str(made["data"]["id"])


async def test_an_offer_comes_within_seconds(
    api: Api, settings: Settings, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """Nothing wakes this worker, and somebody holds the list when it is prompted first."""
    made = await awaited(api)
    taken = await booked(api, made, soon)
    entry = await joined(api, made, soon)
    lock = "select from waitlists where org_id = $1 for no key update"
    async with tending(settings):
        async with conn.transaction():
            await conn.execute(lock, tenant.org_id)
            await cancel(api, taken)
            cancelled_at = datetime.now(UTC)

        async def is_offered() -> bool:
            return await states(api, entry) == ["offered"]

        await eventually(is_offered)
    offered_at = datetime.fromisoformat((await entry_of(api, entry))["offered_at"])
    assert offered_at - cancelled_at < timedelta(seconds=4), "two at most, and as much again for a busy machine"
