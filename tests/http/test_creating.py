"""Every POST that creates can be retried: a new route of that kind is found by its status, and held to this."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.domain.webhooks.subscriptions import EVENTS
from app.main import ROUTES
from app.web.browser import SessionRoute
from app.web.routing import PublicRoute, Route
from tests.browsers import Browser
from tests.offers import iso, offer
from tests.support import Api, Tenant, booking_body, unique_name
from tests.waiting import waiting_body

EVERY = [route for route in ROUTES if isinstance(route, Route | PublicRoute)]
CREATING = [f"{route.method} {route.path}" for route in EVERY if route.operation.status == 201]
BY_SESSION = {
    f"{route.method} {route.path}": route.operation
    for route in ROUTES
    if isinstance(route, SessionRoute) and route.operation.status == 201
}

Bodies = dict[str, Callable[[int], Any]]


async def bodies(api: Api, soon: datetime) -> tuple[Bodies, dict[str, str]]:
    """A body for each creating route, another one for another number; and what their paths are filled with."""
    made = await offer(api, code="mine", slug="mine", waitlist=True)
    place = (await api.post("/v1/locations", {"name": "x", "timezone": "UTC"})).ok(201)["location"]["id"]
    link = (await api.post("/v1/event-types/mine/links", {"max_uses": 9})).ok(201)["link"]
    name = unique_name()

    def flat(number: int) -> Any:
        start = soon + number * timedelta(hours=1)
        who = {"attendee_name": "J", "attendee_email": "j@example.com", "timezone": "UTC"}
        return {**who, "start_time": iso(start)}

    for hour in (61, 62):
        (await api.book("mine", soon + hour * timedelta(hours=1))).ok(201)
    found: Bodies = {
        "POST /v1/users": lambda n: {"email": f"{name}-{n}@example.com", "name": "Ben"},
        "POST /v1/teams": lambda n: {"slug": f"{name}-{n}", "name": "Team"},
        "POST /v1/event-types": lambda n: {"title": f"Call {n}"},
        "POST /v1/event-types/{code}/duplicate": lambda n: {"title": f"Copy {n}"},
        "POST /v1/event-types/{code}/links": lambda n: {"max_uses": n + 1},
        "POST /v1/schedules": lambda n: {"name": f"Hours {n}", "timezone": "UTC", "weekly": []},
        "POST /v1/locations": lambda n: {"name": f"Place {n}", "timezone": "UTC"},
        "POST /v1/resources": lambda n: {"name": f"Room {n}", "kind": "room", "location_id": place},
        "POST /v1/bookings": lambda n: booking_body("mine", soon + (9 + n) * timedelta(hours=1)),
        "POST /api/v1/bookings": lambda n: {
            "booking_link_id": made["id"],
            "contact_name": "J",
            "contact_email": "j@example.com",
            "start_time": iso(soon + (40 + n) * timedelta(hours=1)),
        },
        "POST /v1/waitlist": lambda n: waiting_body(made, soon + (60 + n) * timedelta(hours=1)),
        "POST /api/v1/waitlist": lambda n: {
            "slug": "mine",
            "contact_name": "J",
            "contact_email": "j@example.com",
            "start_time": iso(soon + (60 + n) * timedelta(hours=1)),
        },
        "POST /v1/book/{username}/{event_slug}/waitlist": lambda n: flat(60 + n),
        "POST /v1/webhooks": lambda n: {"url": f"http://127.0.0.1:9/hook{n}"},
        "POST /v1/events/test": lambda n: {"event": EVENTS[n]},
        "POST /v1/book/{username}/{event_slug}": flat,
        "POST /v1/book/link/{link_code}": lambda n: flat(20 + n),
    }
    return found, {"code": made["code"], "event_slug": made["slug"], "link_code": link["link_code"]}


@pytest.mark.parametrize("route", CREATING)
async def test_a_retry_creates_nothing_and_answers_the_same(
    api: Api, tenant: Tenant, soon: datetime, route: str
) -> None:
    made, names = await bodies(api, soon)
    assert sorted(made) == sorted(CREATING), "a creating route is missing here"
    path = route.removeprefix("POST ").format(**names, username=tenant.username)
    first = await api.post(path, made[route](1), Idempotency_Key="once")
    again = await api.post(path, made[route](1), Idempotency_Key='"once"')
    assert (first.status, again.status) == (201, 200), first.raw + again.raw
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.raw.startswith(b'{"idempotent_replay":true,')
    assert again.raw.replace(b'"idempotent_replay":true,', b"", 1) == first.raw
    other = await api.post(path, made[route](2), Idempotency_Key="once")
    assert other.ok(422)["code"] == "idempotency_key_reused"
    assert (await api.post(path, made[route](2), Idempotency_Key="twice")).status == 201


@pytest.mark.parametrize("route", CREATING)
async def test_a_refused_creation_keeps_its_key_free(api: Api, tenant: Tenant, soon: datetime, route: str) -> None:
    made, names = await bodies(api, soon)
    path = route.removeprefix("POST ").format(**names, username=tenant.username)
    assert (await api.post(path, {"nonsense": 1}, Idempotency_Key="once")).status == 400
    assert (await api.post(path, made[route](1), Idempotency_Key="once")).status == 201


def test_each_of_them_says_that_it_takes_a_key() -> None:
    assert [route.path for route in EVERY if route.operation.status == 201 and not route.operation.replays] == []
    assert [route for route, operation in BY_SESSION.items() if not operation.replays] == []


async def bodies_by_session(api: Api, owner: Browser, soon: datetime) -> tuple[Bodies, str]:
    """The same of `/api`, without the noun that they stand under; and the code of an event type."""
    made = await offer(api, waitlist=True)
    for hour in (61, 62):
        (await api.book(made["code"], soon + hour * timedelta(hours=1))).ok(201)
    place = (await owner.post("/api/locations", {"location": {"name": "x", "timezone": "UTC"}})).ok(201)["data"]["id"]
    desk = {"name": "Desk", "kind": "desk", "location_id": place}
    desk_id = (await owner.post("/api/resources", {"resource": desk})).ok(201)["data"]["id"]
    name = unique_name()
    found: Bodies = {
        "POST /api/keys": lambda n: {"name": f"Key {n}", "scopes": ["slots:read"]},
        "POST /api/members": lambda n: {"email": f"{name}-{n}@example.com", "name": "Ben"},
        "POST /api/teams": lambda n: {"slug": f"{name}-{n}", "name": "Team"},
        "POST /api/event-types": lambda n: {"title": f"Call {n}"},
        "POST /api/event-types/{code}/duplicate": lambda n: {"title": f"Copy {n}"},
        "POST /api/event-types/{code}/links": lambda n: {"max_uses": n + 1},
        "POST /api/schedules": lambda n: {"name": f"Hours {n}", "timezone": "UTC", "weekly": []},
        "POST /api/locations": lambda n: {"name": f"Place {n}", "timezone": "UTC"},
        "POST /api/resources": lambda n: {**desk, "name": f"Desk {n}"},
        "POST /api/webhooks": lambda n: {"url": f"http://127.0.0.1:9/hook{n}"},
        "POST /api/waitlist": lambda n: waiting_body(made, soon + (60 + n) * timedelta(hours=1)),
        "POST /api/bookings": lambda n: {
            "bookable_id": desk_id,
            "starts_at": iso(soon + n * timedelta(hours=1)),
            "ends_at": iso(soon + (n + 1) * timedelta(hours=1)),
        },
    }
    return found, str(made["code"])


@pytest.mark.parametrize("route", BY_SESSION)
async def test_a_retry_in_a_session_creates_nothing_and_answers_the_same(
    api: Api, owner: Browser, soon: datetime, route: str
) -> None:
    made, code = await bodies_by_session(api, owner, soon)
    assert sorted(made) == sorted(BY_SESSION), "a creating route is missing here"
    path, nested = route.removeprefix("POST ").format(code=code), BY_SESSION[route].nested
    once = {"Idempotency-Key": "once"}
    first = await owner.post(path, {nested: made[route](1)}, **once)
    again = await owner.post(path, {nested: made[route](1)}, **once)
    assert (first.status, again.status) == (201, 200), first.raw + again.raw
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.raw.startswith(b'{"idempotent_replay":true,')
    assert again.raw.replace(b'"idempotent_replay":true,', b"", 1) == first.raw
    other = await owner.post(path, {nested: made[route](2)}, **once)
    assert other.ok(422)["code"] == "idempotency_key_reused"
    assert (await owner.post(path, {nested: made[route](2)}, **{"Idempotency-Key": "twice"})).status == 201


@pytest.mark.parametrize("route", BY_SESSION)
async def test_a_creation_that_a_session_was_refused_keeps_its_key_free(
    api: Api, owner: Browser, soon: datetime, route: str
) -> None:
    made, code = await bodies_by_session(api, owner, soon)
    path, nested = route.removeprefix("POST ").format(code=code), BY_SESSION[route].nested
    once = {"Idempotency-Key": "once"}
    for wrong in [{"nonsense": 1}, {nested: {"nonsense": 1}}, made[route](1)]:
        assert (await owner.post(path, wrong, **once)).status == 400, wrong
    elsewhere = await owner.post(path, {nested: made[route](1)}, **once, **{"Sec-Fetch-Site": "cross-site"})
    assert elsewhere.status == 403
    assert (await owner.post(path, {nested: made[route](1)}, **once)).status == 201
